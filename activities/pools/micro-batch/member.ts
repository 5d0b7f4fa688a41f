import type { Call, CallContext, Reply } from '../../connectors/connector.js';

/** One call of a batch: it ends once, with the first of its own result, its own error and its signal's abort. */
export class Member {
  readonly call: Call;
  readonly context: CallContext;
  readonly reply: Promise<Reply>;
  ended = false;
  /** Called when its signal has aborted, with the reason. */
  left: ((reason: unknown) => void) | undefined;
  resolve!: (reply: Reply) => void;
  reject!: (error: unknown) => void;

  constructor(call: Call, context: CallContext) {
    this.call = call;
    this.context = context;
    const { signal } = context;
    this.reply = new Promise((resolve, reject) => {
      const abort = () => {
        this.reject(signal.reason);
        this.left?.(signal.reason);
      };
      const end = () => {
        this.ended = true;
        signal.removeEventListener('abort', abort);
      };
      this.resolve = (reply) => {
        end();
        resolve(reply);
      };
      this.reject = (error) => {
        end();
        reject(error);
      };
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  /** Ends with the result of a call that is its own. */
  async take(reply: Promise<Reply>): Promise<void> {
    await reply.then(this.resolve, this.reject);
  }
}
