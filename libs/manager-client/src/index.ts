/**
 * What schedulers and daemons ask of the manager beside manager.v2.
 * @packageDocumentation
 */
export { CertificateKeeper, type CertificateKeeperOptions } from './certificate-keeper.js';
export { type News, NewsFeed, type NewsFeedOptions } from './news-feed.js';
