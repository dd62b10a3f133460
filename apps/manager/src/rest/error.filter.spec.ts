import { jest } from '@jest/globals';
import { DfError } from '@dragonfly/errors';
import type { Logger } from '@dragonfly/telemetry';
import type { ArgumentsHost } from '@nestjs/common';
import { RestErrorFilter } from './error.filter.js';

/** What the filter answers and logs for an error. */
function outcomeOf(error: unknown): { status: unknown; body: unknown; log: string[] } {
  const log: string[] = [];
  const note =
    (level: string) =>
    (_fields: unknown, text: string): void => {
      log.push(`${level}: ${text}`);
    };
  const outcome: { status: unknown; body: unknown } = { status: undefined, body: undefined };
  const reply = {
    status: jest.fn((status: number) => ((outcome.status = status), reply)),
    headers: jest.fn(() => reply),
    send: jest.fn((body: unknown) => (outcome.body = body)),
  };
  const http = { getRequest: () => ({ method: 'DELETE', routeOptions: { url: '/x/:id' } }), getResponse: () => reply };
  const logger = { info: note('info'), warn: note('warn') } as unknown as Logger;
  new RestErrorFilter(logger, 'r').catch(error, { switchToHttp: () => http } as unknown as ArgumentsHost);
  return { ...outcome, log };
}

it("logs a refusal in one line, for it is no failure of the manager's", () => {
  expect(outcomeOf(new DfError('failed-precondition', 'scheduler cluster exists scheduler'))).toEqual({
    status: 500,
    body: { message: 'scheduler cluster exists scheduler' },
    log: ['info: request refused'],
  });
});

it('warns of what nobody foresaw', () => {
  expect(outcomeOf(new Error('disk I/O error'))).toMatchObject({ status: 500, log: ['warn: request failed'] });
});

it('logs nothing about bad requests', () => {
  expect(outcomeOf(new DfError('invalid-argument', 'no'))).toEqual({ status: 422, body: { errors: 'no' }, log: [] });
});
