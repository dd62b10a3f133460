/**
 * What schedulers and daemons ask of the manager beside manager.v2.
 * @packageDocumentation
 */
export { type News, NewsFeed, type NewsFeedOptions } from './news-feed.js';
export { secureLinks, type SecureLinksOptions, wantsCertificates } from './secure-links.js';
export { DEFAULT_JOIN_PORT, type SecuritySection, securitySection } from './security-section.js';
