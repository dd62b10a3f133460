import { existsSync } from 'node:fs';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ChildService, Content, freePort } from '@dragonfly/testkit';

/** Where packages put it; a user's PATH often lacks them. */
const NGINX_PLACES = ['/usr/sbin/nginx', '/usr/local/sbin/nginx'];
const BLOCK_BYTES = 1024 * 1024;

/** nginx in front of a folder: the reference server, and the origin of everything that is downloaded. */
export class Origin {
  readonly service: ChildService;
  private readonly port: number;
  private readonly directory: string;

  private constructor(service: ChildService, port: number, directory: string) {
    this.service = service;
    this.port = port;
    this.directory = directory;
  }

  /** @throws DfError when there is no nginx, or it does not start */
  static async start(directory: string): Promise<Origin> {
    await mkdir(join(directory, 'files'), { recursive: true });
    await mkdir(join(directory, 'temporary'), { recursive: true });
    const port = await freePort();
    const configuration = join(directory, 'nginx.conf');
    await writeFile(configuration, nginxConfiguration(directory, port));
    const service = await ChildService.start({
      name: 'nginx',
      command: NGINX_PLACES.find((place) => existsSync(place)) ?? 'nginx',
      args: ['-c', configuration, '-p', directory, '-e', join(directory, 'error.log')],
      readyUrl: `http://127.0.0.1:${port}/ready`,
    });
    return new Origin(service, port, directory);
  }

  /** Makes a file with seeded content. */
  async put(name: string, lengthBytes: number): Promise<void> {
    const block = new Content(BLOCK_BYTES, lengthBytes % 1000).slice(0, BLOCK_BYTES);
    const file = await open(join(this.directory, 'files', name), 'w');
    try {
      for (let at = 0; at < lengthBytes; at += BLOCK_BYTES) {
        // No two blocks are the same, so that mixed-up pieces have other checksums.
        block.writeDoubleLE(at, 0);
        await file.writeFile(block.subarray(0, Math.min(BLOCK_BYTES, lengthBytes - at)));
      }
    } finally {
      await file.close();
    }
  }

  /** @param version makes it another task; the origin sends the same file */
  url(name: string, version: string): string {
    return `http://127.0.0.1:${this.port}/${name}?version=${version}`;
  }

  /** Body bytes that were sent for one version of a file, and requests for it. */
  async sent(name: string, version: string): Promise<{ bodyBytes: number; requests: number }> {
    const log = await readFile(join(this.directory, 'access.log'), 'utf8');
    const lines = log.split('\n').filter((line) => line.startsWith(`/${name}?version=${version} `));
    return {
      bodyBytes: lines.reduce((sum, line) => sum + Number(line.split(' ')[1]), 0),
      requests: lines.length,
    };
  }

  async stop(): Promise<void> {
    await this.service.stop();
  }
}

/** Half a minute longer than any measurement, so that connections stay open between them. */
function nginxConfiguration(directory: string, port: number): string {
  return `daemon off;
master_process off;
pid ${directory}/nginx.pid;
events { worker_connections 1024; }
http {
  log_format sent '$request_uri $body_bytes_sent $request_method $status "$http_range"';
  access_log ${directory}/access.log sent;
  client_body_temp_path ${directory}/temporary;
  proxy_temp_path ${directory}/temporary;
  fastcgi_temp_path ${directory}/temporary;
  uwsgi_temp_path ${directory}/temporary;
  scgi_temp_path ${directory}/temporary;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000;
  server {
    listen 127.0.0.1:${port};
    root ${directory}/files;
    location = /ready { access_log off; return 204; }
  }
}
`;
}
