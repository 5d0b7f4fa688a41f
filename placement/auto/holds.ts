import { canonicalJson, type Json } from '../../pipelines/json.js';
import type { PlacementDocument } from '../document/index.js';
import { type Drift, type Measured, measuredRate, type Replanned } from '../replan/index.js';
import { byHandSince, type Journal } from './journal.js';
import { reconfigured } from './reconfigured.js';
import { DRIFTS, type Policy } from './schema.js';
import { devicesOf, isSmaller } from './verdict.js';

/** A reason not to act on a measurement. */
export interface Hold {
  /** Stable, for programs that read the audit lines. */
  readonly why:
    | 'person'
    | 'no-proposal'
    | 'problem'
    | 'demands'
    | 'unchanged'
    | 'drift'
    | 'measurements'
    | 'refused-runs'
    | 'cost'
    | 'devices'
    | 'cool-down'
    | 'by-hand'
    | 'changes'
    | 'again'
    | 'runs'
    | 'workers'
    | 'servers';
  readonly text: string;
}

export interface Situation {
  readonly policy: Policy;
  readonly journal: Journal;
  readonly streaks: Streaks;
  /** The placement in force, what was measured of it, and what is proposed in its place. */
  readonly placement: PlacementDocument;
  readonly measured: Measured;
  readonly found: Replanned;
  /** When the file of the placement in force was written. */
  readonly appliedAtMs: number;
  /** What a person has to look at first. */
  readonly waitsFor: string | undefined;
  readonly nowMs: number;
}

/** Why a proposal is not applied now; none: the policy allows it. Nothing has drifted: none, and no proposal. */
export function holdsOf(situation: Situation): readonly Hold[] {
  const { found, placement, waitsFor } = situation;
  const { drift, proposal, problem } = found;
  if (drift.length === 0) return [];
  if (waitsFor !== undefined) return [{ why: 'person', text: waitsFor }];
  if (proposal === null) return [{ why: 'no-proposal', text: problem ?? 'there is no proposal' }];
  if (proposal.version === placement.version) {
    return [{ why: 'unchanged', text: 'no better placement was found' }];
  }
  return [...driftHolds(situation), ...proposalHolds(situation, proposal), ...timeHolds(situation, proposal)];
}

function driftHolds({ policy, streaks, found: { drift } }: Situation): readonly Hold[] {
  const isOf = (drifts: Policy['drifts'], { what }: Drift) => drifts.some((each) => each === what);
  const causes = drift.filter((each) => isOf([...DRIFTS], each));
  const other = causes.length === 0 ? drift[0] : causes.find((each) => !isOf(policy.drifts, each));
  if (other) {
    const listed = policy.drifts.join(', ');
    return [{ why: 'drift', text: `${other.what} ${other.of} is not among the policy’s drifts: ${listed}` }];
  }
  // One that has lasted must not let another pass that was seen once: the proposal follows from all of them.
  const seen = Math.min(...causes.map((each) => streaks.of(each)));
  if (seen >= policy.measurements) return [];
  return [{ why: 'measurements', text: `seen in ${seen} of ${policy.measurements} measurements in a row` }];
}

function proposalHolds({ policy, placement, found }: Situation, proposal: PlacementDocument): readonly Hold[] {
  const holds: Hold[] = [];
  const hold = (why: Hold['why'], text: string) => holds.push({ why, text });
  const { costPerHour, devices } = policy;
  if (found.problem !== null) hold('problem', `it does not keep what the placement in force has to: ${found.problem}`);
  if (demandsOf(proposal) !== demandsOf(placement)) {
    hold('demands', 'it has another objective, or keeps less than the placement in force has to');
  }
  const refused = Math.max(found.refuseShare, proposal.refusedShare - placement.refusedShare);
  if (refused > 0) {
    hold('refused-runs', `it holds only a part of the runs: ${(100 * refused).toFixed(1)} % would have to be refused`);
  }
  if (costPerHour !== undefined && proposal.costPerHour > costPerHour) {
    hold('cost', `it costs ${proposal.costPerHour.toFixed(2)} ${proposal.currency} an hour, above ${costPerHour}`);
  }
  const used = devicesOf(proposal).length;
  if (devices !== undefined && used > devices) hold('devices', `it uses ${used} devices, above ${devices}`);
  const changed = reconfigured(placement, proposal);
  if (changed.length > 0) {
    const which = changed.join(', ');
    hold('servers', `servers in use, or the router before them, would need another configuration: ${which}`);
  }
  return holds;
}

function timeHolds(situation: Situation, proposal: PlacementDocument): readonly Hold[] {
  const { policy, placement, journal, measured, nowMs } = situation;
  const holds: Hold[] = [];
  const hold = (why: Hold['why'], text: string) => holds.push({ why, text });
  const { most, per, coolDown } = policy.changes;
  const last = journal.changes.at(-1);
  const left = last === undefined ? 0 : Date.parse(last.at) + coolDown - nowMs;
  if (left > 0)
    hold('cool-down', `the last change ended less than ${spellMs(coolDown)} ago: ${spellMs(left)} are left`);
  const byHand = byHandSince(journal, placement.version, situation.appliedAtMs);
  const rest = byHand === undefined ? 0 : byHand + policy.changes.byHand - nowMs;
  if (rest > 0) {
    hold('by-hand', `a person has applied the placement in force: it is left alone for ${spellMs(rest)} more`);
  }
  const recent = journal.changes.filter(({ at, outcome }) => outcome !== 'abandoned' && Date.parse(at) > nowMs - per);
  // A fleet that was made smaller for a quiet night has to become larger in the morning; one that had to be taken back, not again and again.
  const mayGrow = isSmaller(placement, proposal) && recent.every(({ outcome }) => outcome !== 'rolled-back');
  if (recent.length >= most && !mayGrow)
    hold('changes', `${recent.length} changes in the last ${spellMs(per)}: ${most} are allowed`);
  const refused = journal.refused.find(
    ({ version, until }) => version === proposal.version && Date.parse(until) > nowMs,
  );
  if (refused) hold('again', `it was taken back before, and is not tried again before ${refused.until}`);
  const { completed, failed, runs } = measured;
  if (completed + failed < policy.verify.runs) {
    hold(
      'runs',
      `${completed + failed} runs have ended: with fewer than ${policy.verify.runs}, nothing can be compared (verify.runs)`,
    );
    return holds;
  }
  // Those that begin last do not end in time.
  const expected = (measuredRate(measured) * Math.max(0, policy.verify.for - runs.p95Ms)) / 1_000;
  if (expected < policy.verify.runs) {
    hold(
      'runs',
      `at ${measuredRate(measured).toFixed(3)} runs a second, ${policy.verify.runs} runs do not end within ${spellMs(policy.verify.for)} to verify it by: allow more time (verify.for) or fewer runs (verify.runs)`,
    );
  }
  return holds;
}

/** What a placement has to keep. Not compared by its text: fields of a file may be in another order. */
const demandsOf = ({ objective, slo }: PlacementDocument): string =>
  canonicalJson(JSON.parse(JSON.stringify({ objective, slo })) as Json);

/** `90 s`, `12 min`, `3 h`. */
export function spellMs(ms: number): string {
  if (ms < 120_000) return `${Math.ceil(ms / 1_000)} s`;
  return ms < 7_200_000 ? `${Math.ceil(ms / 60_000)} min` : `${Number((ms / 3_600_000).toFixed(1))} h`;
}

/** How many measurements in a row have shown each drift. */
export class Streaks {
  #counts = new Map<string, number>();
  #placement = '';

  /** @param placement version of the one that was measured: of another one, nothing has been seen yet */
  see(placement: string, drifts: readonly Drift[]): void {
    const before = placement === this.#placement ? this.#counts : new Map<string, number>();
    this.#placement = placement;
    this.#counts = new Map(drifts.map((drift) => [keyOf(drift), (before.get(keyOf(drift)) ?? 0) + 1]));
  }

  /** Of the last measurement, nothing is known. */
  forget(): void {
    this.#counts = new Map();
  }

  of(drift: Drift): number {
    return this.#counts.get(keyOf(drift)) ?? 0;
  }
}

/** A rate that is too high in one measurement and too low in the next is not the same drift twice. */
const keyOf = (drift: Drift): string => {
  const direction = drift.what === 'device' ? 'lost' : drift.measured > drift.predicted ? 'above' : 'below';
  return `${drift.what} ${drift.of} ${direction}`;
};
