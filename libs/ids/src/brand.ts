declare const brand: unique symbol;

/** A string that the compiler does not mix up with other strings. */
type Branded<Name extends string> = string & { readonly [brand]: Name };

/**
 * Names a task. Most are 64 lower-case hex characters (a SHA-256); a task named by a crc32 or sha512 blob digest is
 * shorter or longer, and cannot be asked for over vortex (which carries exactly 64 characters).
 */
export type TaskId = Branded<'TaskId'>;

/** Names one download of one task by one host: `<ip>-<hostname>-<uuid>[-seed]`. */
export type PeerId = Branded<'PeerId'>;

/** Names a host: `<ip>-<hostname>[-seed]`. Equal ids are one host to every scheduler. */
export type HostId = Branded<'HostId'>;

/** Marks text that came off the wire or off the disk as a task id. Nothing is checked: any text is a legal task id. */
export function asTaskId(text: string): TaskId {
  return text as TaskId;
}

/** Marks text that came off the wire as a peer id. Nothing is checked. */
export function asPeerId(text: string): PeerId {
  return text as PeerId;
}

/** Marks text that came off the wire as a host id. Nothing is checked. */
export function asHostId(text: string): HostId {
  return text as HostId;
}
