/**
 * The queue on Redis, apart from the rest so that processes without Redis do not load BullMQ and ioredis.
 * @packageDocumentation
 */
export { BullmqJobQueue, type BullmqQueueOptions } from './bullmq-queue.js';
