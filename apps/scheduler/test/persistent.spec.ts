import { FakeClock } from '@dragonfly/scheduling/testing';
import { RedisServer, waitFor } from '@dragonfly/testkit';
import { ReplicaDaemon } from './support/replica-daemon.js';
import { type DurableTestPeer, type Ids, KindClient, type UploadFacts } from './support/durable-kinds.js';
import { TestCluster } from './support/test-cluster.js';

const redis = await RedisServer.startIfPresent();
if (redis === undefined) console.warn(`skip: persistent tasks on Redis: ${RedisServer.missingReason ?? 'no server'}`);

afterAll(async () => {
  await redis?.stop();
});

const stores: [string, Record<string, string>][] = [
  ['in the memory of the scheduler', {}],
  ...(redis === undefined
    ? []
    : [['on Redis', { DATABASE__REDIS__ADDRS: `["${redis.address}"]` }] as [string, Record<string, string>]]),
];

describe.each(stores)('durable tasks %s', (_store, changes) => {
  describe.each(['persistent', 'persistentCache'] as const)('of kind %s', (kindName) => {
    let cluster: TestCluster;
    let kind: KindClient;
    let serial = 0;

    beforeAll(async () => {
      cluster = await TestCluster.start({ changes });
      kind = new KindClient(kindName, cluster.client);
    });

    afterAll(async () => {
      await cluster[Symbol.asyncDispose]();
    });

    async function ids(taskId: string, host: Parameters<TestCluster['host']>[1] = {}): Promise<Ids> {
      const number = serial++;
      const hostId = await cluster.host(`${kindName}-${number}`, host);
      return { hostId, taskId, peerId: `${kindName}-peer-${number}-${taskId}` };
    }

    async function uploaded(
      taskId: string,
      facts: UploadFacts = {},
      host?: Parameters<TestCluster['host']>[1],
    ): Promise<Ids> {
      const owner = await ids(taskId, host);
      await kind.uploadStarted(owner, facts);
      await kind.uploadFinished(owner);
      return owner;
    }

    /** A peer that has fetched the task from the first parent offered. */
    async function downloaded(taskId: string, host?: Parameters<TestCluster['host']>[1]): Promise<DurableTestPeer> {
      const peer = kind.announce(await ids(taskId, host));
      await peer.register();
      const [parent] = await peer.parents();
      await peer.started();
      for (const number of [0, 1, 2]) await peer.piece(number, parent?.id ?? '');
      await peer.finished();
      expect(await peer.end()).toBe('OK');
      return peer;
    }

    describe('an upload', () => {
      it('lives as long as it is said to, to the millisecond', async () => {
        const owner = await ids(`${kindName}-ttl`);
        await kind.uploadStarted(owner, { ttlSeconds: 279_595n, ttlNanos: 40_381_035 });
        expect(await kind.statTask(owner.taskId)).toMatchObject({ ttl: { seconds: 279_595n, nanos: 40_000_000 } });
      });

      it('goes from started to finished, and is shown with its replicas', async () => {
        const owner = await ids(`${kindName}-upload`);
        await kind.uploadStarted(owner, { replicas: 1n, ttlSeconds: 600n });
        expect(await kind.statTask(owner.taskId)).toMatchObject({ state: 'Uploading', currentReplicaCount: 1n });
        expect(await kind.statPeer(owner.peerId)).toMatchObject({ state: 'Uploading', persistent: true });
        const finished = await kind.uploadFinished(owner);
        expect(finished).toMatchObject({
          id: owner.taskId,
          state: 'Succeeded',
          persistentReplicaCount: 1n,
          currentPersistentReplicaCount: 1n,
          currentReplicaCount: 1n,
          contentLength: BigInt(12 * 1024 * 1024),
          pieceCount: 3,
          ttl: { seconds: 600n, nanos: 0 },
          createdAt: expect.any(Date),
          updatedAt: expect.any(Date),
        });
        // The stored record may be written again after the answer was made.
        const shown = await kind.statTask(owner.taskId);
        expect(shown).toEqual({ ...finished, updatedAt: expect.any(Date) as Date });
        const peer = await kind.statPeer(owner.peerId);
        expect(peer).toMatchObject({
          state: 'Succeeded',
          persistent: true,
          host: { id: owner.hostId, ip: '127.0.0.1' },
          task: { id: owner.taskId },
        });
        if (kindName === 'persistentCache') {
          expect(finished).toMatchObject({ tag: 'blue', application: 'app', pieceLength: 4_194_304n });
        }
      });

      it('is refused with ALREADY_EXISTS while another one goes on or has succeeded', async () => {
        const owner = await ids(`${kindName}-twice`);
        await kind.uploadStarted(owner);
        const other = await ids(owner.taskId);
        await expect(kind.uploadStarted(other)).rejects.toMatchObject({ code: 'already-exists' });
        await kind.uploadFinished(owner);
        await expect(kind.uploadStarted(other)).rejects.toMatchObject({ code: 'already-exists' });
        await expect(kind.statPeer(other.peerId)).rejects.toMatchObject({ code: 'not-found' });
      });

      it('is begun by one of many that begin at once', async () => {
        const all = await Promise.all(Array.from({ length: 10 }, () => ids(`${kindName}-race`)));
        const results = await Promise.allSettled(all.map((one) => kind.uploadStarted(one)));
        expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        expect(await kind.statTask(`${kindName}-race`)).toMatchObject({ currentReplicaCount: 1n });
      });

      it('with a known peer id is refused and changes nothing', async () => {
        const owner = await uploaded(`${kindName}-known-peer`);
        const again = { ...owner, taskId: `${kindName}-known-peer-2` };
        await expect(kind.uploadStarted(again)).rejects.toMatchObject({ code: 'already-exists' });
        await expect(kind.statTask(again.taskId)).rejects.toMatchObject({ code: 'not-found' });
      });

      it('that failed leaves the task Failed, and it can be uploaded again', async () => {
        const owner = await ids(`${kindName}-failed`);
        await kind.uploadStarted(owner);
        await kind.uploadFailed(owner);
        expect(await kind.statTask(owner.taskId)).toMatchObject({ state: 'Failed', currentReplicaCount: 0n });
        expect(await kind.statPeer(owner.peerId)).toMatchObject({ state: 'Failed' });
        const second = await ids(owner.taskId);
        await kind.uploadStarted(second);
        expect(await kind.uploadFinished(second)).toMatchObject({
          state: 'Succeeded',
          currentPersistentReplicaCount: 1n,
        });
      });

      it('of an unknown host, task or peer, or of somebody else’s peer, is NOT_FOUND', async () => {
        const owner = await ids(`${kindName}-stranger`);
        await expect(kind.uploadStarted({ ...owner, hostId: 'ghost' })).rejects.toMatchObject({
          code: 'not-found',
          message: expect.stringContaining('host ghost not found'),
        });
        await expect(kind.uploadFinished(owner)).rejects.toMatchObject({ code: 'not-found' });
        await kind.uploadStarted(owner);
        const other = await ids(owner.taskId);
        await expect(kind.uploadFinished(other)).rejects.toMatchObject({ code: 'not-found' });
        await expect(kind.uploadFailed({ ...owner, hostId: other.hostId })).rejects.toMatchObject({
          code: 'not-found',
        });
        expect(await kind.statTask(owner.taskId)).toMatchObject({ state: 'Uploading' });
      });

      it('that is finished twice is INTERNAL the second time and stays finished', async () => {
        const owner = await uploaded(`${kindName}-finished-twice`);
        await expect(kind.uploadFinished(owner)).rejects.toMatchObject({ code: 'internal' });
        await expect(kind.uploadFailed(owner)).rejects.toMatchObject({ code: 'internal' });
        expect(await kind.statTask(owner.taskId)).toMatchObject({ state: 'Succeeded' });
      });

      it.each([
        ['a time to live below 5 minutes', { ttlSeconds: 299n }],
        ['a time to live above 7 days', { ttlSeconds: 604_801n }],
        ['no replica', { replicas: 0n }],
      ])('with %s is INVALID_ARGUMENT', async (_what, facts) => {
        const owner = await ids(`${kindName}-limits`);
        await expect(kind.uploadStarted(owner, facts)).rejects.toMatchObject({ code: 'invalid-argument' });
      });
    });

    describe('a download', () => {
      it('gets parents with all that a child needs, and becomes a parent itself', async () => {
        const owner = await uploaded(`${kindName}-download`);
        const child = kind.announce(await ids(owner.taskId));
        await child.register();
        const [parent] = await child.parents();
        expect(parent).toMatchObject({
          id: owner.peerId,
          state: 'Succeeded',
          persistent: true,
          host: { id: owner.hostId, ip: '127.0.0.1', port: 4000, downloadPort: 4000 },
          task: { id: owner.taskId, pieceCount: 3 },
          cost: expect.anything(),
        });
        await child.started();
        for (const number of [0, 1, 2]) await child.piece(number, owner.peerId);
        await child.finished();
        expect(await child.end()).toBe('OK');
        expect(await kind.statPeer(child.ids.peerId)).toMatchObject({ state: 'Succeeded', persistent: false });
        expect(await kind.statTask(owner.taskId)).toMatchObject({
          currentReplicaCount: 2n,
          currentPersistentReplicaCount: 1n,
        });
        const next = kind.announce(await ids(owner.taskId));
        await next.register();
        expect((await next.parents()).map(({ id }) => id).sort()).toEqual([owner.peerId, child.ids.peerId].sort());
        next.cancel();
      });

      it('prefers parents of its data centre, then of its location', async () => {
        const taskId = `${kindName}-near`;
        const far = await uploaded(taskId, {}, { network: { idc: 'far', location: 'us|ny' } });
        const sameCountry = await downloaded(taskId, { network: { idc: 'other', location: 'eu|de|b' } });
        const near = await downloaded(taskId, { network: { idc: 'dc9', location: 'eu|fr' } });
        const child = kind.announce(await ids(taskId, { network: { idc: 'DC9', location: 'eu|de|a' } }));
        await child.register();
        expect((await child.parents()).map(({ id }) => id)).toEqual([
          near.ids.peerId,
          sameCountry.ids.peerId,
          far.peerId,
        ]);
        child.cancel();
      });

      it('of an empty content needs no parents', async () => {
        const owner = await uploaded(`${kindName}-empty`, { pieces: 0 });
        const child = kind.announce(await ids(owner.taskId));
        await child.register();
        expect(await child.answer()).toEqual({ kind: 'empty' });
        await child.started();
        await child.finished();
        expect(await child.end()).toBe('OK');
      });

      it('is not offered parents again that it refused, and gives up when there are no others', async () => {
        const owner = await uploaded(`${kindName}-reschedule`);
        const second = await downloaded(owner.taskId);
        const child = kind.announce(await ids(owner.taskId));
        await child.register();
        const offered = await child.parents();
        expect(offered).toHaveLength(2);
        await child.started();
        await child.reschedule(offered.filter(({ id }) => id === owner.peerId));
        expect((await child.parents()).map(({ id }) => id)).toEqual([second.ids.peerId]);
        await child.pieceFailed(1, second.ids.peerId);
        await child.reschedule([]);
        expect(await child.end()).toEqual({ code: 'failed-precondition', message: 'no candidate parents found' });
        expect(await kind.statPeer(child.ids.peerId)).toMatchObject({ state: 'Failed' });
      });

      it('is offered nobody on its own host and nobody who does not share', async () => {
        const owner = await uploaded(`${kindName}-alone`);
        await cluster.host(owner.hostId.replace('127.0.0.1-', ''), { disableShared: true });
        const child = kind.announce(await ids(owner.taskId));
        await child.register();
        expect(await child.end()).toMatchObject({ code: 'failed-precondition' });
        await cluster.host(owner.hostId.replace('127.0.0.1-', ''), { disableShared: false });
        const same = kind.announce({ ...owner, peerId: `${owner.peerId}-again` });
        await same.register();
        expect(await same.end()).toMatchObject({ code: 'failed-precondition' });
      });

      it('that failed, or whose stream broke, is offered to nobody and counts as no replica', async () => {
        const owner = await uploaded(`${kindName}-broken`);
        const [loser, lost] = [kind.announce(await ids(owner.taskId)), kind.announce(await ids(owner.taskId))];
        for (const peer of [loser, lost]) {
          await peer.register();
          await peer.parents();
          await peer.started();
          await peer.piece(0, owner.peerId);
        }
        await loser.failed();
        expect(await loser.end()).toBe('OK');
        lost.cancel();
        await waitFor(async () => (await kind.statPeer(lost.ids.peerId)).state === 'Failed', { what: 'the lost peer' });
        expect(await kind.statTask(owner.taskId)).toMatchObject({ currentReplicaCount: 1n });
      });

      it('of an unknown task or host is NOT_FOUND, of a known peer INTERNAL, without a content INVALID_ARGUMENT', async () => {
        const owner = await uploaded(`${kindName}-mistakes`);
        const unknownTask = kind.announce(await ids('no-such-task'));
        await unknownTask.register();
        expect(await unknownTask.end()).toMatchObject({ code: 'not-found' });
        const unknownHost = kind.announce({ ...owner, hostId: 'ghost', peerId: 'ghost-peer' });
        await unknownHost.register();
        expect(await unknownHost.end()).toMatchObject({ code: 'not-found' });
        const knownPeer = kind.announce(owner);
        await knownPeer.register();
        expect(await knownPeer.end()).toMatchObject({ code: 'internal' });
        const early = kind.announce(await ids(owner.taskId));
        await early.piece(0, owner.peerId);
        await early.started();
        expect(await early.end()).toMatchObject({ code: 'not-found' });
        const nothing = kind.announce(await ids(owner.taskId));
        await nothing.sendNothing();
        expect(await nothing.end()).toMatchObject({ code: 'invalid-argument' });
        expect(await kind.statPeer(owner.peerId)).toMatchObject({ state: 'Succeeded' });
      });

      it('cannot report for the peer of another stream', async () => {
        const owner = await uploaded(`${kindName}-thief`);
        const [victim, thief] = [kind.announce(await ids(owner.taskId)), kind.announce(await ids(owner.taskId))];
        for (const peer of [victim, thief]) {
          await peer.register();
          await peer.parents();
        }
        Object.assign(thief, { ids: victim.ids });
        await thief.failed();
        expect(await thief.end()).toMatchObject({ code: 'invalid-argument' });
        await victim.started();
        await victim.finished();
        expect(await victim.end()).toBe('OK');
      });
    });

    describe('replicas', () => {
      const daemons: ReplicaDaemon[] = [];

      afterEach(async () => {
        for (const daemon of daemons.splice(0)) await daemon[Symbol.asyncDispose]();
      });

      /** A daemon on a host of its own that can take a replica, and registers it as a real one does. */
      async function keeper(
        taskId: string,
        host: Parameters<TestCluster['host']>[1] = {},
      ): Promise<{ daemon: ReplicaDaemon; hostId: string }> {
        const daemon = await ReplicaDaemon.start();
        daemons.push(daemon);
        const one = await ids(taskId, {
          downloadPort: daemon.port,
          disk: { free: 1n << 40n, total: 1n << 40n },
          ...host,
        });
        daemon.onDownload = async (asked) => {
          // Replicas of former tests' tasks, whose hosts have left since, are not for this one.
          if (asked !== taskId) throw new Error('not mine');
          const peer = kind.announce(one);
          await peer.register({ persistent: true });
          await peer.answer();
          await peer.started();
          await peer.finished();
          await peer.end();
        };
        return { daemon, hostId: one.hostId };
      }

      async function withdraw(hostIds: readonly string[]): Promise<void> {
        for (const hostId of hostIds) await cluster.call('deleteHost', { hostId });
      }

      /** All hosts of former tests go, so that replicas can only be made where this test wants them. */
      async function onlyThese(): Promise<void> {
        await withdraw(await cluster.listHosts());
      }

      it('are made on other hosts after the upload, with the requests of the original', async () => {
        await onlyThese();
        const taskId = `${kindName}-replicas`;
        const keepers = [await keeper(taskId), await keeper(taskId), await keeper(taskId)];
        const full = await keeper(taskId, { disk: { free: 1n, total: 1n << 40n } });
        const unwilling = await keeper(taskId, { disableShared: true });
        const owner = await uploaded(taskId, { replicas: 3n });
        await waitFor(async () => (await kind.statTask(taskId)).currentPersistentReplicaCount === 3n, {
          what: 'three replicas',
        });
        const calls = keepers
          .flatMap(({ daemon }) => daemon.called('download'))
          .filter((call) => call.taskId === taskId);
        expect(calls).toHaveLength(2);
        expect(calls[0]?.request).toMatchObject({
          persistent: true,
          needPieceContent: false,
          remoteIp: '127.0.0.1',
          ...(kindName === 'persistent'
            ? { url: `s3://bucket/${taskId}`, objectStorage: { region: 'eu', endpoint: 'https://s3.example' } }
            : { taskId, tag: 'blue', application: 'app' }),
        });
        expect([...full.daemon.calls, ...unwilling.daemon.calls].filter((call) => call.taskId === taskId)).toEqual([]);
        expect(await kind.statPeer(owner.peerId)).toMatchObject({ persistent: true });
      });

      it('are made of copies that are there, before anything is fetched', async () => {
        await onlyThese();
        const taskId = `${kindName}-promote`;
        const cached = await keeper(taskId);
        const other = await keeper(taskId);
        const owner = await uploaded(taskId, { replicas: 1n });
        const copy = kind.announce({ hostId: cached.hostId, taskId, peerId: `${taskId}-copy` });
        await copy.register();
        await copy.parents();
        await copy.started();
        await copy.finished();
        expect(await copy.end()).toBe('OK');
        await kind.deletePeer(owner);
        await waitFor(async () => (await kind.statPeer(`${taskId}-copy`)).persistent, { what: 'the copy to be kept' });
        expect(cached.daemon.called('update')).toMatchObject([{ taskId, request: { persistent: true } }]);
        expect(other.daemon.calls.filter((call) => call.taskId === taskId)).toEqual([]);
      });

      it('that a host does not want are made by the next one', async () => {
        await onlyThese();
        const taskId = `${kindName}-refused`;
        const keepers = [await keeper(taskId), await keeper(taskId), await keeper(taskId)];
        let refusals = 2;
        for (const { daemon } of keepers) {
          const accept = daemon.onDownload;
          daemon.onDownload = (id) => {
            if (refusals-- > 0) return Promise.reject(new Error('no space'));
            return accept(id);
          };
        }
        await uploaded(taskId, { replicas: 2n });
        await waitFor(async () => (await kind.statTask(taskId)).currentPersistentReplicaCount === 2n, {
          what: 'a replica',
        });
      });

      it('are made elsewhere when their host leaves', async () => {
        await onlyThese();
        const taskId = `${kindName}-leave`;
        const first = await keeper(taskId);
        const owner = await uploaded(taskId, { replicas: 2n });
        await waitFor(async () => (await kind.statTask(taskId)).currentPersistentReplicaCount === 2n, {
          what: 'two replicas',
        });
        const second = await keeper(taskId);
        await cluster.call('deleteHost', { hostId: first.hostId });
        await waitFor(() => second.daemon.called('download').some((call) => call.taskId === taskId), {
          what: 'the other host to be asked',
        });
        await waitFor(async () => (await kind.statTask(taskId)).currentPersistentReplicaCount === 2n, {
          what: 'two replicas again',
        });
        expect(await kind.statPeer(owner.peerId)).toMatchObject({ state: 'Succeeded' });
      });

      it('that found no host are made when one has come', async () => {
        await onlyThese();
        const taskId = `${kindName}-late`;
        await uploaded(taskId, { replicas: 2n });
        const late = await keeper(taskId);
        await waitFor(
          async () => {
            // As the interval of garbage collection does.
            await cluster.app.core.durable.collectHosts();
            return (await kind.statTask(taskId)).currentPersistentReplicaCount === 2n;
          },
          { what: 'the late host to fetch its replica' },
        );
        expect(late.daemon.called('download').filter((call) => call.taskId === taskId)).toHaveLength(1);
      });

      it('an upload whose host leaves has failed, and can be begun again', async () => {
        const owner = await ids(`${kindName}-upload-left`);
        await kind.uploadStarted(owner);
        await cluster.call('deleteHost', { hostId: owner.hostId });
        await waitFor(async () => (await kind.statTask(owner.taskId)).state === 'Failed', { what: 'the task to fail' });
        await kind.uploadStarted(await ids(owner.taskId));
      });

      it('a deleted task is deleted on every host that has it', async () => {
        await onlyThese();
        const taskId = `${kindName}-delete`;
        const keepers = [await keeper(taskId), await keeper(taskId)];
        const owner = await uploaded(taskId, { replicas: 3n });
        await waitFor(async () => (await kind.statTask(taskId)).currentPersistentReplicaCount === 3n, {
          what: 'three replicas',
        });
        await kind.deleteTask(taskId);
        for (const { daemon } of keepers) {
          expect(daemon.called('delete')).toMatchObject([{ taskId, request: { remoteIp: '127.0.0.1' } }]);
        }
        await expect(kind.statTask(taskId)).rejects.toMatchObject({ code: 'not-found' });
        await expect(kind.statPeer(owner.peerId)).rejects.toMatchObject({ code: 'not-found' });
        await expect(kind.deleteTask(taskId)).rejects.toMatchObject({ code: 'not-found' });
        // The same content may come back.
        await kind.uploadStarted(await ids(taskId));
      });

      it('a deleted peer loses its copy, and nobody deletes the peer of another host', async () => {
        await onlyThese();
        const taskId = `${kindName}-delete-peer`;
        const first = await keeper(taskId);
        await uploaded(taskId, { replicas: 1n });
        const copy = kind.announce({ hostId: first.hostId, taskId, peerId: `${taskId}-copy` });
        await copy.register();
        await copy.parents();
        await copy.started();
        await copy.finished();
        await copy.end();
        await expect(kind.deletePeer({ ...copy.ids, hostId: 'another' })).rejects.toMatchObject({ code: 'not-found' });
        await kind.deletePeer(copy.ids);
        expect(first.daemon.called('delete')).toMatchObject([{ taskId }]);
        await expect(kind.statPeer(copy.ids.peerId)).rejects.toMatchObject({ code: 'not-found' });
        expect(await kind.statTask(taskId)).toMatchObject({ currentReplicaCount: 1n });
      });
    });

    if (kindName === 'persistent') {
      it('sends a peer to the source that asks for it, or when the upload has failed', async () => {
        const owner = await ids('persistent-source');
        await kind.uploadStarted(owner);
        const eager = kind.announce(await ids(owner.taskId));
        await eager.register({ needBackToSource: true });
        expect(await eager.answer()).toEqual({ kind: 'back-to-source' });
        await eager.send('downloadPersistentPeerBackToSourceStartedRequest', {});
        await eager.send('downloadPieceBackToSourceFinishedRequest', {
          piece: { number: 0, length: 1n, cost: { seconds: 0n, nanos: 1 }, createdAt: new Date() },
        });
        await eager.send('downloadPersistentPeerBackToSourceFinishedRequest', {});
        expect(await eager.end()).toBe('OK');
        await kind.uploadFailed(owner);
        const late = kind.announce(await ids(owner.taskId));
        await late.register();
        expect(await late.answer()).toEqual({ kind: 'back-to-source' });
        await late.send('downloadPersistentPeerBackToSourceFailedRequest', { description: '404' });
        expect(await late.end()).toBe('OK');
      });
    }
  });
});

describe('the time to live', () => {
  it.each(['persistent', 'persistentCache'] as const)('of a %s task ends it with its peers', async (kindName) => {
    const clock = new FakeClock();
    await using cluster = await TestCluster.start({ clock });
    const kind = new KindClient(kindName, cluster.client);
    const owner = { hostId: await cluster.host('a'), taskId: 'task', peerId: 'peer' };
    await kind.uploadStarted(owner, { ttlSeconds: 300n });
    await kind.uploadFinished(owner);
    clock.advance(299_000);
    expect(await kind.statTask('task')).toMatchObject({ state: 'Succeeded' });
    clock.advance(2_000);
    await expect(kind.statTask('task')).rejects.toMatchObject({ code: 'not-found' });
    await expect(kind.statPeer('peer')).rejects.toMatchObject({ code: 'not-found' });
    await kind.uploadStarted({ ...owner, hostId: await cluster.host('a') });
  });
});
