import { effectiveProfile, PEER_PROFILE, SEED_PROFILE } from './role-profile.js';

describe('effectiveProfile', () => {
  it.each([
    ['peer', PEER_PROFILE, {}, { name: 'peer', hostType: 0, isSeed: false }],
    ['seed peer', SEED_PROFILE, {}, { name: 'seed-peer', hostType: 1, isSeed: true }],
    ['file that makes a seed', PEER_PROFILE, { enable: true }, { name: 'seed-peer', hostType: 1, isSeed: true }],
    ['file that makes a peer', SEED_PROFILE, { enable: false }, { name: 'peer', hostType: 0, isSeed: false }],
    [
      'seed of type normal',
      SEED_PROFILE,
      { type: 'normal' as const },
      { name: 'seed-peer', hostType: 0, isSeed: true },
    ],
    ['peer with a type', PEER_PROFILE, { type: 'super' as const }, { name: 'peer', hostType: 0, isSeed: false }],
  ])('decides the role of a %s', (_, profile, settings, expected) => {
    expect(effectiveProfile(profile, settings)).toMatchObject(expected);
  });
});
