import { DfError } from '@dragonfly/errors';
import { KeyValueStore } from '@dragonfly/kv';
import { Database, OauthEntity, OauthIdentityEntity, OauthProviderEntity, UserEntity } from '@dragonfly/persistence';
import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Clock } from '../clock.js';
import { Logger } from '../logger.js';
import { RECORD_NOT_FOUND } from '../rest/resource-rows.js';
import { RestOptions } from '../rest/rest-options.js';
import { UsersService } from '../users/users.service.js';
import { type Identity, type PendingSignIn, SignInProvider } from './sign-in-providers.js';

/** Time for the way to the provider and back. */
export const PENDING_MS = 10 * 60_000;
/** Tries for a name that nobody has yet. */
const NAME_TRIES = 50;

/** Signing in through a provider. */
@Injectable()
export class OauthSignIn {
  constructor(
    private readonly database: Database,
    private readonly store: KeyValueStore,
    private readonly users: UsersService,
    private readonly clock: Clock,
    private readonly options: RestOptions,
    private readonly log: Logger,
  ) {}

  /**
   * @param fallbackRedirectUri where the provider sends people when its row does not say
   * @returns where to send the person, and the state that its browser must bring back
   * @throws DfError `not-found` (no such provider), `unavailable`
   */
  async begin(name: string, fallbackRedirectUri: string): Promise<{ url: string; state: string }> {
    const { provider, row } = await this.provider(name);
    const { url, pending } = await this.told(name, provider.begin(row.redirectUrl || fallbackRedirectUri));
    await this.store.set(keyOf(pending.state), JSON.stringify(pending), { ttlMs: PENDING_MS });
    return { url, state: pending.state };
  }

  /**
   * @param stateOfBrowser what the browser kept since `begin`: without it a stranger could sign somebody else in as himself
   * @returns the account of the person; made now when it is the first time
   * @throws DfError `unauthenticated`; `already-exists` with a text when the mail address is that of another account
   */
  async finish(name: string, query: URLSearchParams, stateOfBrowser: string | undefined): Promise<UserEntity> {
    const state = query.get('state') ?? '';
    const text = state === '' ? undefined : await this.store.get(keyOf(state));
    // Whoever deletes it may use it: a state is good once.
    if (text === undefined || stateOfBrowser !== state || !(await this.store.delete(keyOf(state)))) {
      throw refused('this sign-in was not begun here, or took too long: begin again');
    }
    const pending = JSON.parse(text) as PendingSignIn;
    if (pending.provider !== name) {
      throw refused('this sign-in was begun with another provider');
    }
    const { provider } = await this.provider(name);
    return this.accountOf(name, await this.told(name, provider.finish(query, pending)));
  }

  /** The person learns no more than that it did not work; whoever set the provider up finds the reason in the log. */
  private async told<T>(provider: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      const { message, cause } = DfError.from(error);
      this.log.warn({ provider, reason: message, err: cause }, 'a sign-in through a provider failed');
      throw error;
    }
  }

  private async provider(name: string): Promise<{ provider: SignInProvider; row: OauthEntity }> {
    const { manager } = this.database;
    const row = await manager.findOneBy(OauthEntity, { name, isDel: 0 });
    if (!row) {
      throw new DfError('not-found', RECORD_NOT_FOUND);
    }
    const more = await manager.findOneBy(OauthProviderEntity, { oauthId: row.id });
    const settings = {
      name,
      clientId: row.clientId,
      clientSecret: row.clientSecret,
      issuer: more?.issuer,
      scopes: more?.scopes ?? [],
    };
    return { provider: new SignInProvider(settings, this.options), row };
  }

  private async accountOf(provider: string, identity: Identity): Promise<UserEntity> {
    const { subject } = identity;
    const { manager } = this.database;
    const known = await manager.findOneBy(OauthIdentityEntity, { provider, subject });
    const user = known && (await manager.findOneBy(UserEntity, { id: known.userId, isDel: 0 }));
    if (user) {
      return user;
    }
    const sameMail = identity.email
      ? await manager.findOneBy(UserEntity, { email: identity.email, isDel: 0 })
      : undefined;
    if (!sameMail) {
      return this.newAccount(provider, identity);
    }
    // Accounts that an original manager made for people of a provider have no password.
    if (!identity.isEmailVerified || sameMail.encryptedPassword) {
      const text = `there is an account with the mail address ${identity.email ?? ''}: sign in with its password`;
      throw new DfError('already-exists', text, { details: { shown: text } });
    }
    await this.database.transaction((rows) => this.link(rows, provider, subject, sameMail.id));
    return sameMail;
  }

  private async newAccount(provider: string, identity: Identity): Promise<UserEntity> {
    if (!this.options.isSignUpOpen) {
      throw new DfError('permission-denied', 'accounts are made by an administrator here');
    }
    const { subject } = identity;
    return this.users.create(
      {
        name: await this.freeName(identity.name || `${provider}-${subject}`),
        // The column is unique and wants a text; ".invalid" is nobody's.
        email: identity.email ?? `${subject}@${provider}.invalid`,
        encryptedPassword: null,
        avatar: identity.avatar.slice(0, 256),
        phone: undefined,
        location: undefined,
        bio: undefined,
      },
      (rows, userId) => this.link(rows, provider, subject, userId),
    );
  }

  private async freeName(wanted: string): Promise<string> {
    const base = wanted.replaceAll(/[^\w@$!%*?&.-]/g, '-').slice(0, 200);
    for (let n = 1; n <= NAME_TRIES; n += 1) {
      const name = n === 1 ? base : `${base}-${n}`;
      if (!(await this.database.manager.existsBy(UserEntity, { name }))) {
        return name;
      }
    }
    throw new DfError('already-exists', `no name like ${base} is free`);
  }

  private async link(manager: EntityManager, provider: string, subject: string, userId: number): Promise<void> {
    await manager.delete(OauthIdentityEntity, { provider, subject });
    await manager.insert(OauthIdentityEntity, { provider, subject, userId, createdAt: this.clock.now() });
  }
}

function keyOf(state: string): string {
  return `oauth:pending:${state.slice(0, 256)}`;
}

function refused(text: string): DfError {
  return new DfError('unauthenticated', text, { details: { shown: text } });
}
