import { extNotify } from '@dragonfly/proto';
import { streamOut } from '@dragonfly/rpc/nest';
import type { ServerWritableStream } from '@grpc/grpc-js';
import { type BeforeApplicationShutdown, Controller, UseFilters } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { Observable } from 'rxjs';
import { GrpcErrorFilter } from '../grpc/grpc-error.filter.js';
import { News } from './news.js';
import { serveNews } from './serve-news.js';

/** dragonfly.ext.v1.NotifyService. */
@Controller()
@UseFilters(GrpcErrorFilter)
export class NotifyGrpcController implements BeforeApplicationShutdown {
  readonly #stopping = new AbortController();

  constructor(private readonly news: News) {}

  @GrpcMethod('NotifyService', 'Subscribe')
  subscribe(
    _request: extNotify.SubscribeRequest,
    _metadata: unknown,
    call: ServerWritableStream<extNotify.SubscribeRequest, extNotify.Notification>,
  ): Observable<never> {
    return streamOut(call, (request, stream) => serveNews(request, stream, this.news, this.#stopping.signal));
  }

  beforeApplicationShutdown(): void {
    this.#stopping.abort();
  }
}
