/**
 * What schedulers and daemons ask of the manager beside manager.v2.
 * @packageDocumentation
 */
export { type News, NewsFeed, type NewsFeedOptions } from './news-feed.js';
