import { HttpBackend, type HttpBackendOptions } from '../src/http/http-backend.js';
import { RawOrigin, type RawConnection } from './raw-origin.js';

/** Backends and raw origins that a test opens. */
export class Opened {
  private readonly parts: { close(): Promise<void> }[] = [];

  /** Tries once, unless the options say otherwise. */
  readonly backendWith = (options: HttpBackendOptions = {}): HttpBackend => {
    const backend = new HttpBackend({ maxRetries: 0, ...options });
    this.parts.push(backend);
    return backend;
  };

  readonly raw = async (answer: (connection: RawConnection) => void): Promise<RawOrigin> => {
    const started = await RawOrigin.start(answer);
    this.parts.push(started);
    return started;
  };

  /** An origin that answers everything with these bytes. */
  readonly fixed = (bytes: string): Promise<RawOrigin> => this.raw(({ socket }) => socket.write(bytes, 'latin1'));

  /** To be called after each test. */
  async close(): Promise<void> {
    for (const part of this.parts.splice(0)) await part.close();
  }
}
