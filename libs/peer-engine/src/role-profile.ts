/** Numbers of `common.v2.Host.type` as schedulers read them: 0 normal, 1 super (a seed peer). */
export type HostType = 0 | 1;

/**
 * What differs between the two roles of the daemon; everything else is shared. A behaviour that depends on the role is a
 * field here, never an `if` elsewhere.
 */
export interface RoleProfile {
  /** Service name in logs, readiness and `--version`. */
  readonly name: 'peer' | 'seed-peer';
  /** Announced to schedulers; only hosts of type 1 are triggered to fetch from the source. */
  readonly hostType: HostType;
  /** Whether host and peer ids carry the `-seed` suffix. */
  readonly isSeed: boolean;
  /** `manager.v2.SourceType` with which the daemon asks the manager: 1 peer, 2 seed peer. */
  readonly managerSourceType: 1 | 2;
  /** A seed peer is a member of a seed peer cluster of the manager and keeps that membership alive. */
  readonly registersAs: 'none' | 'seed-peer';
  /**
   * Whether a download that was triggered over the upload service goes on when the one who triggered it is gone. A seed
   * peer feeds other peers by then, so it finishes what it began; an ordinary peer stops.
   */
  readonly finishesTriggeredDownloads: boolean;
  /** Which block list of the cluster configuration applies. */
  readonly clientConfigKey: 'client_config' | 'seed_client_config';
}

/** The daemon of every host. */
export const PEER_PROFILE: RoleProfile = Object.freeze({
  name: 'peer',
  hostType: 0,
  isSeed: false,
  managerSourceType: 1,
  registersAs: 'none',
  finishesTriggeredDownloads: false,
  clientConfigKey: 'client_config',
});

/** The daemon that schedulers send to sources. */
export const SEED_PROFILE: RoleProfile = Object.freeze({
  name: 'seed-peer',
  hostType: 1,
  isSeed: true,
  managerSourceType: 2,
  registersAs: 'seed-peer',
  finishesTriggeredDownloads: true,
  clientConfigKey: 'seed_client_config',
});

/** What of the configuration may change the role: `seedPeer` of `dfdaemon.yaml`. */
export interface RoleSettings {
  readonly enable?: boolean | undefined;
  readonly type?: 'normal' | 'super' | undefined;
}

/**
 * The role a daemon really has. `seedPeer.enable` in the file wins over the program that was started, because an existing
 * `dfdaemon.yaml` of a seed peer says it there; a seed peer of type `normal` is announced as an ordinary host.
 */
export function effectiveProfile(profile: RoleProfile, settings: RoleSettings): RoleProfile {
  const base = settings.enable === undefined ? profile : settings.enable ? SEED_PROFILE : PEER_PROFILE;
  return base.isSeed && settings.type === 'normal' ? Object.freeze({ ...base, hostType: 0 }) : base;
}
