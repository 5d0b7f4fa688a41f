import { evidenceOf, type Hold, holdsOf, type Policy, Streaks, spellMs } from '../../placement/auto/index.js';
import type { PlacementDocument } from '../../placement/document/index.js';
import { Transition } from './change.js';
import type { Look, Ports } from './ports.js';

/** The same reasons not to act are told again after so long: reasons that come and go would fill the audit file. */
const AGAIN_MS = 3_600_000;
/** So many of them in that time: what servers say may differ each time. */
const MOST_TOLD = 20;

/**
 * Watches a placement and changes it within a policy, until the process is to end. A change that an earlier process began is finished or
 * taken back first. Throws `PLACEMENT_CHANGED` if somebody else changes the placement in the middle of a change.
 */
export class Automation {
  readonly #policy: Policy;
  readonly #ports: Ports;
  readonly #everyMs: number;
  readonly #transition: Transition;
  readonly #streaks = new Streaks();
  /** When reasons not to act were told. */
  readonly #told = new Map<string, number>();

  constructor(policy: Policy, ports: Ports, everyMs: number) {
    this.#policy = policy;
    this.#ports = ports;
    this.#everyMs = everyMs;
    this.#transition = new Transition(policy, ports, everyMs);
  }

  async run(): Promise<void> {
    const { costPerHour, devices, drifts } = this.#policy;
    const limits = [
      ...(costPerHour === undefined ? [] : [`at most ${costPerHour} an hour`]),
      ...(devices === undefined ? [] : [`at most ${devices} devices`]),
    ];
    this.#ports.tell({
      event: 'watching',
      text: `changes the placement by itself when it has drifted (${drifts.join(', ')}): ${limits.join(', ')}`,
      evidence: { policy: this.#policy },
    });
    await this.#transition.resume();
    while (!this.#ports.isEnding()) {
      await this.#once();
      await this.#ports.sleep(this.#everyMs);
    }
  }

  async #once(): Promise<void> {
    let seen: { readonly look: Look; readonly holds: readonly Hold[] };
    try {
      seen = await this.#look();
    } catch (error) {
      // A server that is away now may be back for the next measurement; what was seen before was not seen in a row.
      this.#streaks.forget();
      if (!this.#ports.isEnding()) this.#ports.complain(error);
      return;
    }
    if (this.#ports.isEnding()) return;
    const { look, holds } = seen;
    const { proposal } = look.found;
    if (holds.length > 0) this.#hold(look, holds);
    else if (proposal !== null) await this.#change(look, proposal);
  }

  /** A measurement, and why what is proposed is not applied. */
  async #look() {
    const look = await this.#ports.look();
    const { placement, found } = look;
    this.#streaks.see(placement.version, found.drift);
    const holds = holdsOf({
      ...look,
      policy: this.#policy,
      journal: this.#ports.readJournal(),
      streaks: this.#streaks,
      waitsFor: this.#ports.waitsFor(),
      nowMs: this.#ports.now(),
    });
    if (holds.length > 0 || found.proposal === null || this.#ports.isEnding()) return { look, holds };
    return { look, holds: await this.#missing(found.proposal) };
  }

  async #missing(proposal: PlacementDocument): Promise<readonly Hold[]> {
    const missing = await this.#ports.missing(proposal);
    const advice = missing.some(({ what }) => what === 'servers') ? `. ${this.#ports.advice(proposal)}` : '';
    return missing.map(({ what, text }, i) => ({ why: what, text: i === missing.length - 1 ? text + advice : text }));
  }

  #hold({ placement, found: { proposal, drift } }: Look, holds: readonly Hold[]): void {
    const nowMs = this.#ports.now();
    for (const [said, at] of this.#told) if (nowMs - at >= AGAIN_MS || at > nowMs) this.#told.delete(said);
    // What is missing is told anew when it is something else.
    const reasons = holds.map(({ why, text }) => (why === 'servers' || why === 'workers' ? text : why));
    const said = JSON.stringify([placement.version, reasons]);
    if (this.#told.has(said) || this.#told.size >= MOST_TOLD) return;
    this.#told.set(said, nowMs);
    this.#ports.tell({
      event: 'held',
      from: placement.version,
      ...(proposal && { to: proposal.version }),
      text: holds.map(({ text }) => text).join('; '),
      evidence: { holds, drift },
    });
  }

  async #change({ placement: from, measured, found }: Look, to: PlacementDocument): Promise<void> {
    const before = evidenceOf(measured);
    const price = `${from.costPerHour.toFixed(2)} -> ${to.costPerHour.toFixed(2)} ${to.currency} an hour`;
    const drift = found.drift.map(({ what, of }) => `${what} ${of}`).join(', ');
    const text = `${drift}; ${price}; verified for ${spellMs(this.#policy.verify.for)}`;
    const evidence = { drift: found.drift, before, predicted: to.predicted, costPerHour: to.costPerHour };
    this.#told.clear();
    await this.#transition.begin({ from, to, before }, text, evidence);
  }
}
