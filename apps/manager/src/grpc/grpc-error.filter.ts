import { GrpcExceptionFilter } from '@dragonfly/rpc/nest';
import { Catch } from '@nestjs/common';
import { Logger } from '../logger.js';

/** The shared filter with this service's logger. */
@Catch()
export class GrpcErrorFilter extends GrpcExceptionFilter {
  constructor(log: Logger) {
    super(log);
  }
}
