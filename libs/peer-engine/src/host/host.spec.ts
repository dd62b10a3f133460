import { validateMessage } from '@dragonfly/proto';
import { PEER_PROFILE, SEED_PROFILE } from '../role-profile.js';
import { HostFigureReader } from './host-figures.js';
import { hostMessage } from './host-message.js';
import { resolveIdentity } from './identity.js';
import { NetworkMonitor } from './network-monitor.js';
import { LINUX_FILES, type SystemFiles } from './system-files.js';

const DISK = { totalBytes: 1000, freeBytes: 400, availableBytes: 300, inodesTotal: 10, inodesFree: 4 };

function cannedFiles(texts: Record<string, string>): SystemFiles {
  return { read: async (path) => texts[path], fileSystemOf: async () => DISK };
}

describe('resolveIdentity', () => {
  const interfaces = {
    lo: [{ address: '127.0.0.1', family: 'IPv4', internal: true }],
    eth0: [
      { address: 'fe80::1', family: 'IPv6', internal: false },
      { address: '10.0.0.5', family: 'IPv4', internal: false },
      { address: '2001:db8::5', family: 'IPv6', internal: false },
    ],
  } as never;

  it('takes the first outward address when the file names none', () => {
    const identity = resolveIdentity({ hostname: 'h', prefersIpv6: false, isSeed: false, interfaces });
    expect(identity.hostId).toBe('10.0.0.5-h');
    expect(resolveIdentity({ hostname: 'h', prefersIpv6: true, isSeed: false, interfaces }).ip).toBe('2001:db8::5');
  });

  it.each([
    [PEER_PROFILE, '1.2.3.4-h', /^1\.2\.3\.4-h-[0-9a-f-]{36}$/],
    [SEED_PROFILE, '1.2.3.4-h-seed', /^1\.2\.3\.4-h-[0-9a-f-]{36}-seed$/],
  ])('marks the ids of the role $name', ({ isSeed }, hostId, peerId) => {
    const identity = resolveIdentity({ ip: '1.2.3.4', hostname: 'h', prefersIpv6: false, isSeed });
    expect(identity.hostId).toBe(hostId);
    expect(identity.newPeerId()).toMatch(peerId);
    expect(identity.newPeerId()).not.toBe(identity.newPeerId());
  });
});

describe('HostFigureReader', () => {
  it('computes shares from two readings', async () => {
    const texts: Record<string, string> = {
      '/proc/stat': 'cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1\ncpu1 1\n',
      '/proc/meminfo': 'MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 250 kB\n',
      '/proc/self/io': 'read_bytes: 0\nwrite_bytes: 0\n',
      '/sys/fs/cgroup/cpu.max': '200000 100000\n',
      '/sys/fs/cgroup/cpu.stat': 'usage_usec 0\n',
      '/sys/fs/cgroup/memory.max': '4096\n',
      '/sys/fs/cgroup/memory.current': '1024\n',
    };
    let nowMs = 0;
    const reader = new HostFigureReader(cannedFiles(texts), '/store', () => nowMs);
    await reader.read();
    texts['/proc/stat'] = 'cpu  150 0 150 900 0 0 0 0 0 0\ncpu0 1\ncpu1 1\n';
    texts['/proc/self/io'] = 'read_bytes: 4000\nwrite_bytes: 8000\n';
    texts['/sys/fs/cgroup/cpu.stat'] = 'usage_usec 1000000\n';
    nowMs = 2000;
    const figures = await reader.read();
    expect(figures.cpu).toMatchObject({ percent: 50, physicalCount: 2, cgroup: { usedPercent: 25, quota: 200000n } });
    expect(figures.memory).toMatchObject({
      total: 1_024_000n,
      used: 768_000n,
      usedPercent: 75,
      cgroup: { limit: 4096n, usage: 1024n, usedPercent: 25 },
    });
    expect(figures.disk).toMatchObject({
      total: 1000n,
      used: 600n,
      usedPercent: 60,
      inodesUsed: 6n,
      readBandwidth: 2000n,
      writeBandwidth: 4000n,
    });
  });

  it('gives an announcement that passes the receivers’ validation on this machine', async () => {
    const identity = resolveIdentity({ ip: '127.0.0.1', hostname: 'h', prefersIpv6: false, isSeed: true });
    const monitor = new NetworkMonitor({
      files: LINUX_FILES,
      ip: '127.0.0.1',
      downloadBytesPerSecond: 1e9,
      uploadBytesPerSecond: 1e9,
    });
    await monitor.sample();
    const figures = await new HostFigureReader(LINUX_FILES, '/').read();
    const host = hostMessage(
      { profile: SEED_PROFILE, identity, uploadPort: 4000, proxyPort: 0, isSharingDisabled: false },
      figures,
      monitor.rates,
    );
    expect(host).toMatchObject({ type: 1, port: 4000, downloadPort: 4000, build: { gitVersion: 'dfts-0.1.0' } });
    expect(validateMessage('common.v2.Host', host)).toBeUndefined();
    expect(host.memory?.total).toBeGreaterThan(0n);
    expect(host.disk?.total).toBeGreaterThan(0n);
  });
});

describe('NetworkMonitor', () => {
  it('measures the interface of the advertised address and caps the maximum at the link speed', async () => {
    const texts: Record<string, string> = {
      '/proc/net/dev': 'h\nh\n  lo: 9 0 0 0 0 0 0 0 9 0\neth0: 1000 0 0 0 0 0 0 0 500 0\n',
      '/sys/class/net/eth0/speed': '1000\n',
    };
    let nowMs = 0;
    const monitor = new NetworkMonitor({
      files: cannedFiles(texts),
      ip: '10.0.0.5',
      interfaceName: 'eth0',
      downloadBytesPerSecond: 50e9,
      uploadBytesPerSecond: 1e6,
      now: () => nowMs,
    });
    await monitor.sample();
    texts['/proc/net/dev'] = 'h\nh\n  lo: 99 0 0 0 0 0 0 0 99 0\neth0: 2000 0 0 0 0 0 0 0 4500 0\n';
    nowMs = 2000;
    const samples: unknown[] = [];
    monitor.onSample((rates) => samples.push(rates));
    await monitor.sample();
    expect(samples).toEqual([
      { maxRxBitsPerSecond: 1e9, rxBitsPerSecond: 4000, maxTxBitsPerSecond: 8e6, txBitsPerSecond: 16_000 },
    ]);
  });
});
