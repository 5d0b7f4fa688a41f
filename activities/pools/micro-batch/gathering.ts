import type { Backend } from '../../connectors/connector.js';
import type { Endpoint } from '../endpoint.js';
import { MicroBatches, type MicroBatchParts } from './micro-batches.js';
import { Suspects } from './suspects.js';

/** The micro-batches of a pool: those of each of its endpoints. */
export class Gathering {
  readonly #parts: Pick<MicroBatchParts, 'config' | 'joining' | 'sent'>;
  readonly #suspects = new Suspects();
  readonly #clients = new WeakMap<Endpoint, Backend>();

  constructor(parts: Pick<MicroBatchParts, 'config' | 'joining' | 'sent'>) {
    this.#parts = parts;
  }

  /** The backend through which calls at the endpoint go out together. */
  at(endpoint: Endpoint): Backend {
    const known = this.#clients.get(endpoint);
    if (known) return known;
    const { client } = new MicroBatches({
      ...this.#parts,
      backend: endpoint.backend,
      suspects: this.#suspects,
      inFlight: () => (endpoint.full ? endpoint.outstanding : undefined),
    });
    this.#clients.set(endpoint, client);
    return client;
  }
}
