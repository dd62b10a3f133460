import type { StoredTask } from '@dragonfly/piece-store';
import { silentLogger } from '@dragonfly/telemetry';
import type { SchedulerLink } from '../scheduler/scheduler-link.js';
import type { AttemptServices } from './attempt-services.js';
import { FinishedAnnouncer } from './finished-announcer.js';

describe('FinishedAnnouncer', () => {
  it('takes a scheduler whose link was closed meanwhile for one that does not listen', async () => {
    const services = {
      openConversation: () => {
        throw new Error('Channel has been shut down');
      },
    } as unknown as AttemptServices;
    const task = {
      id: 'a'.repeat(64),
      meta: { url: 'http://origin/file' },
      contentLengthBytes: 1,
      pieceLengthBytes: 4 * 1024 * 1024,
    } as unknown as StoredTask;
    const announcer = new FinishedAnnouncer(services, silentLogger());
    const told = announcer.announceStored(task, {} as SchedulerLink, 'peer', new AbortController().signal);
    await expect(told).resolves.toBe(false);
  });
});
