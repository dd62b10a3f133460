import { Readiness } from '@dragonfly/telemetry';
import { Controller, Get, Header, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Public } from '../auth/route-rules.js';
import { startPage } from './start-page.js';

/** What tells about the service itself; open to everybody. */
@ApiExcludeController()
@Public()
@Controller()
export class StatusController {
  constructor(private readonly readiness: Readiness) {}

  @Get()
  @Header('content-type', 'text/html; charset=utf-8')
  start(): string {
    return startPage(this.readiness.snapshot());
  }

  /** 200 while the process lives, whatever it depends on. */
  @Get('healthy')
  @Header('content-type', 'application/json; charset=utf-8')
  healthy(): string {
    return '"OK"';
  }

  /** 200 when every condition holds, else 503; the conditions by name. */
  @Get('readyz')
  ready(@Res({ passthrough: true }) reply: FastifyReply): unknown {
    const snapshot = this.readiness.snapshot();
    void reply.status(snapshot.ready ? 200 : 503);
    return snapshot;
  }
}
