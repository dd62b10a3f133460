/** Something that was pushed to a registry. */
export interface PushEvent {
  /** Without the registry's host. */
  readonly repository: string;
  readonly tag: string;
}

type Loose = Readonly<Record<string, unknown>>;

const MANIFEST_TYPE = /manifest|image\.index/;
/** Events of one notification that are looked at. */
const MAX_EVENTS = 1_000;

/**
 * The pushes that a notification tells of: the envelope of a Docker registry (CNCF Distribution), a webhook of Harbor in
 * its default form, or the same as a CloudEvent. Pushes of blobs and of manifests without a tag (parts of a
 * multi-platform image) are none.
 * @returns undefined when the body is none of these
 */
export function pushEvents(body: unknown): PushEvent[] | undefined {
  const notification = objectOf(body);
  if (!notification) {
    return undefined;
  }
  const found = Array.isArray(notification['events'])
    ? notification['events'].slice(0, MAX_EVENTS).flatMap(ofDistribution)
    : ofHarbor(notification);
  if (!found) {
    return undefined;
  }
  const unique = new Map(found.map((event) => [`${event.repository}:${event.tag}`, event]));
  return [...unique.values()];
}

function ofDistribution(event: unknown): PushEvent[] {
  const { action, target } = objectOf(event) ?? {};
  const { mediaType, repository, tag } = objectOf(target) ?? {};
  const isManifest = typeof mediaType === 'string' && MANIFEST_TYPE.test(mediaType);
  return action === 'push' && isManifest ? pushOf(repository, tag) : [];
}

function ofHarbor(notification: Loose): PushEvent[] | undefined {
  const { type } = notification;
  const data = objectOf(notification['event_data']) ?? objectOf(notification['data']);
  if (typeof type !== 'string' || !data) {
    return undefined;
  }
  if (type !== 'PUSH_ARTIFACT' && type !== 'harbor.artifact.pushed') {
    return [];
  }
  const repository = objectOf(data['repository'])?.['repo_full_name'];
  const resources = Array.isArray(data['resources']) ? data['resources'].slice(0, MAX_EVENTS) : [];
  return resources.flatMap((resource: unknown) => pushOf(repository, objectOf(resource)?.['tag']));
}

function pushOf(repository: unknown, tag: unknown): PushEvent[] {
  return typeof repository === 'string' && typeof tag === 'string' && repository !== '' && tag !== ''
    ? [{ repository, tag }]
    : [];
}

function objectOf(value: unknown): Loose | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Loose) : undefined;
}
