/**
 * Most elements of the lists that requests may hold, and lengths of their texts. The body alone (10 MB) would let one request
 * carry half a million networks, which every search of a cluster then looks through.
 */

/** Ids of clusters, as a job or a tenant names them. */
export const ID_LIST = { max: 10_000 };
/** Networks of a cluster's scope. */
export const CIDR_LIST = { max: 1_000 };
/** A network in its longest form has 43 characters. */
export const CIDR = { max: 64 };
/** Patterns of host names of a cluster's scope. */
export const HOSTNAME_LIST = { max: 1_000 };
export const HOSTNAME = { max: 1_024 };
/** Names, URLs, tags and priorities of one part of a block list. */
export const BLOCK_LIST = { max: 1_000 };
export const BLOCK_ENTRY = { max: 4_096 };
/** Applications of a tenant or token. */
export const APPLICATION_LIST = { max: 1_000 };
/** Priorities of an application by URL, each a pattern that is tried. */
export const PRIORITY_LIST = { max: 1_000 };
/** Words of a closed set: features of a scheduler, strategies, scopes of a token. */
export const WORD_LIST = { max: 64 };
export const WORD = { max: 64 };
/** Names that a certificate may have. */
export const NAME_LIST = { max: 100 };
/** Platforms of an image. */
export const PLATFORM_LIST = { max: 100 };
export const PERMISSION_LIST = { max: 1_000 };
/** Files of one preheat. */
export const URL_LIST = { max: 10_000 };
/** Addresses of peers to preheat; at least one when there are any, as the original has it. */
export const IP_LIST = { min: 1, max: 100 };
export const IP = { max: 64 };
/** Patterns of names and tags of a trigger. */
export const PATTERN_LIST = { max: 100 };
/** Entries of an object of free keys: headers, credentials of an object store. */
export const ENTRIES = { max: 200 };
