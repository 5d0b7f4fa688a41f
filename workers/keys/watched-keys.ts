import { type KeyRing, keyRing } from '../../gateway/access/index.js';
import { WatchedFile } from '../../runtime/watched-file.js';
import type { Logger } from '../../telemetry/logger.js';
import { readKeys } from './key-file.js';

/** The current keys of a file: a revoked key is rejected within a second. */
export class WatchedKeys implements KeyRing {
  readonly #ring: WatchedFile<KeyRing>;

  /** Throws `INVALID_SETTING`. */
  constructor(file: string, logger: Logger) {
    const read = (name: string) => {
      const keys = readKeys(name);
      logger.info({ file: name, keys: keys.length }, 'API keys read');
      return keyRing(keys);
    };
    this.#ring = new WatchedFile(file, 'API keys', read, logger);
  }

  find(secret: string) {
    return this.#ring.current.find(secret);
  }

  close(): void {
    this.#ring.close();
  }
}
