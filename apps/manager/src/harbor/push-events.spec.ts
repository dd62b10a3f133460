import { pushEvents } from './push-events.js';

it.each([undefined, null, 7, 'x', [], {}, { type: 'PUSH_ARTIFACT' }, { events: 'x' }])(
  '%j is no notification',
  (body) => {
    expect(pushEvents(body)).toBeUndefined();
  },
);

it('takes a push that is told twice once, and OCI indexes too', () => {
  const event = (mediaType: string, tag?: string): object => ({
    action: 'push',
    target: { mediaType, repository: 'a/b', tag },
  });
  const index = 'application/vnd.oci.image.index.v1+json';
  expect(
    pushEvents({ events: [event(index, '1'), event(index, '1'), event('application/octet-stream', '1'), 7] }),
  ).toEqual([{ repository: 'a/b', tag: '1' }]);
});

it('takes a test message of Harbor for no push', () => {
  expect(pushEvents({ type: 'TESTING', event_data: { resources: [{ tag: 'v1.0' }], repository: {} } })).toEqual([]);
});
