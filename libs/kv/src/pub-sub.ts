/** Takes one message of a channel. It must not throw; what it throws is handed to the adapter's error listener. */
export type MessageListener = (message: string) => void;

/**
 * Messages to all subscribers of a channel, in all processes that use the same store. At most once: a subscriber that
 * is disconnected at the time does not get the message, so a message may only ever be a hint to read again.
 */
export abstract class PubSub {
  /** Sends the message to the subscribers of now. Resolves when the store has taken it. */
  abstract publish(channel: string, message: string): Promise<void>;

  /**
   * Resolves when the subscription stands: a message published afterwards arrives. After a lost connection the
   * subscription is made again by itself.
   * @returns ends this subscription; may be called more than once
   */
  abstract subscribe(channel: string, listener: MessageListener): Promise<() => Promise<void>>;
}
