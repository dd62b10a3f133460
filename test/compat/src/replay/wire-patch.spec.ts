import { dfdaemonV2 } from '@dragonfly/proto';
import { bytesOf, callNumber, recording } from './recordings.js';
import { withField } from './wire-patch.js';

describe('withField', () => {
  const events = recording('dfget');
  const [message = Buffer.alloc(0)] = bytesOf(events, callNumber(events, 'DownloadTask'), '>');

  it('sets a field of an inner message and nothing else', () => {
    const url = `http://elsewhere.example/${'x'.repeat(200)}`;
    const before = dfdaemonV2.DownloadTaskRequest.decode(message).download;
    expect(dfdaemonV2.DownloadTaskRequest.decode(withField(message, [1, 1], url)).download).toEqual({ ...before, url });
  });

  it('gives the same bytes back when the value is the one that was there', () => {
    const url = dfdaemonV2.DownloadTaskRequest.decode(message).download?.url ?? '';
    expect(withField(message, [1, 1], url).equals(message)).toBe(true);
    // `priority`, a number.
    expect(withField(message, [1, 7], 6).equals(message)).toBe(true);
  });

  it('keeps fields that it does not know', () => {
    // Field 3000, a string.
    const unknown = Buffer.from([0xc2, 0xbb, 0x01, 2, 0x68, 0x69]);
    const patched = withField(Buffer.concat([message, unknown]), [1, 1], 'http://h/');
    expect(patched.subarray(-unknown.length).equals(unknown)).toBe(true);
  });

  it('refuses to add a field, and messages that are cut off', () => {
    expect(() => withField(message, [1, 99], 'x')).toThrow('no field 99');
    expect(() => withField(message.subarray(0, 40), [1, 1], 'x')).toThrow('cut off');
  });
});
