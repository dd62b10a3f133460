/** What the tests read of an instance at the manager. */
export interface RegisteredInstance {
  readonly host_name: string;
  readonly ip: string;
  readonly port: number;
  readonly state: string;
  readonly scheduler_cluster_id?: number;
  readonly seed_peer_cluster_id?: number;
}

/** The manager's REST interface as a signed-in user sees it. */
export class ManagerRest {
  private constructor(
    private readonly baseUrl: string,
    private readonly token: string,
  ) {}

  static async signIn(baseUrl: string, name = 'root', password = 'dragonfly'): Promise<ManagerRest> {
    const response = await fetch(`${baseUrl}/api/v1/users/signin`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name, password }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`sign-in answered ${response.status}: ${text}`);
    const { token } = JSON.parse(text) as { token: string };
    return new ManagerRest(baseUrl, token);
  }

  /** Schedulers or seed peers that have registered. */
  async list(kind: 'schedulers' | 'seed-peers'): Promise<RegisteredInstance[]> {
    const response = await fetch(`${this.baseUrl}/api/v1/${kind}`, {
      headers: { authorization: `Bearer ${this.token}` },
    });
    if (!response.ok) throw new Error(`${kind} answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as RegisteredInstance[];
  }

  /** Any request with this session. @throws Error on every status but 200 */
  async request<T>(
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    const response = await fetch(`${this.baseUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }
}
