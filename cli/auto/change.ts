import { MillraceError, messageOf } from '../../pipelines/errors.js';
import {
  type Change,
  devicesOf,
  type Evidence,
  ended,
  evidenceOf,
  isEnough,
  iso,
  isSmaller,
  type Journal,
  type Objection,
  type Outcome,
  objectionsTo,
  type Policy,
  spellMs,
  type Unjudged,
  unjudgedIn,
} from '../../placement/auto/index.js';
import type { PlacementDocument } from '../../placement/document/index.js';
import type { AuditEvent, Ports } from './ports.js';

/** So many measurements in a row have to show that a change has broken something: one may be a canary that was unlucky. */
const CERTAIN = 2;

/** So often it is tried to go back: a server or a disk may be away for a moment. */
const TRIES = 3;

/** The longest pause between two measurements of a change, or two tries to go back: `--every` may be hours. */
const LONGEST_PAUSE_MS = 60_000;

/** Letters of a reason in the journal: messages of servers may be long. */
const LONGEST_WHY = 2_000;
const clipped = (text: string): string => (text.length <= LONGEST_WHY ? text : `${text.slice(0, LONGEST_WHY - 1)}…`);

type Evidences = AuditEvent['evidence'];

/** What a measurement of the new placement shows. */
interface Seen {
  readonly after?: Evidence;
  /** What the change itself has broken. */
  readonly broken: readonly Objection[];
  /** Why it cannot be said to be good; empty: it is. */
  readonly doubt: string;
  /** Objectives for which too little was measured. */
  readonly unjudged: readonly Unjudged[];
}

/**
 * A change of the placement in force: replace its file, measure, and keep it or restore the one before. Nothing else is changed. Each step
 * is in the journal before it is taken, and can be taken twice: a process that starts after another has ended in the middle goes on where
 * that one was. The file is written only while it has the version that this change left there, and while no person has asked to wait.
 */
export class Transition {
  readonly #policy: Policy;
  readonly #ports: Ports;
  readonly #pauseMs: number;

  /** @param everyMs from one measurement to the next, while nothing is changed */
  constructor(policy: Policy, ports: Ports, everyMs: number) {
    this.#policy = policy;
    this.#ports = ports;
    this.#pauseMs = Math.min(everyMs, LONGEST_PAUSE_MS);
  }

  /**
   * Switches at once, without another wait after the servers and workers of the new placement have answered, and verifies it. Throws
   * `PLACEMENT_LOCKED` if another process, which the lock does not see, has a change under way.
   */
  async begin(
    { from, to, before }: Pick<Change, 'from' | 'to' | 'before'>,
    text: string,
    evidence: Evidences,
  ): Promise<void> {
    const journal = this.#ports.readJournal();
    if (journal.open !== undefined) throw locked(journal.open);
    // To measure, to plan and to ask has taken a while: the next look sees what a person has done meanwhile.
    if (this.#ports.waitsFor() !== undefined || this.#ports.inForce() !== from.version) return;
    const open: Change = { from, to, step: 'switch', at: iso(this.#ports.now()), before };
    this.#tell('started', open, text, evidence);
    this.#ports.writeJournal({ ...journal, open });
    this.#ports.apply(to);
    await this.#verify(this.#switched(open));
  }

  /** Finishes what an earlier process began, or takes it back. */
  async resume(): Promise<void> {
    const { open } = this.#ports.readJournal();
    if (open === undefined) return;
    const inForce = this.#ports.inForce();
    const [isFrom, isTo] = [inForce === open.from.version, inForce === open.to.version];
    const isExpected = open.step === 'verify' ? isTo : open.step === 'switch' || isFrom || isTo;
    if (!isExpected) this.#interrupted(open, inForce);
    this.#tell('resumed', open, `a process ended at the step "${open.step}" of a change that began at ${open.at}`);
    switch (open.step) {
      case 'switch': {
        if (isTo) return this.#verify(this.#switched(open));
        const why = 'nothing was changed: the process ended before the switch';
        this.#end(open, 'abandoned', why);
        return this.#tell('abandoned', open, why);
      }
      case 'verify':
        return this.#verify(open);
      case 'back':
        return isFrom ? this.#isBack(open) : this.#takeBack(open, open.why ?? 'it was being taken back');
    }
  }

  #switched(open: Change): Change {
    const switched = this.#write({ ...open, step: 'verify', switchedAt: iso(this.#ports.now()) });
    this.#tell('switched', switched, 'new runs use it; running ones keep the placement that they were started with');
    return switched;
  }

  /**
   * Measures until the change is known to be good or to have broken something, for twice the time for it, and once more where the last
   * measurement is the first one that shows something broken.
   */
  async #verify(open: Change): Promise<void> {
    const { from, to, before } = open;
    const until = Date.parse(open.switchedAt ?? open.at) + this.#policy.verify.for;
    const last = until + this.#policy.verify.for;
    for (let inRow = 0; ; ) {
      const nowMs = this.#ports.now();
      const left = (nowMs < until ? until : last) - nowMs;
      await this.#ports.sleep(left > 0 ? Math.min(this.#pauseMs, left) : inRow > 0 ? this.#pauseMs : 0);
      if (this.#ports.isEnding()) return;
      const seen = await this.#see(open);
      if (seen === undefined) return;
      const seenMs = this.#ports.now();
      // The first runs meet cold caches: late ones count when all of the time has passed, those that have not ended when twice of it has.
      const counts = { lost: 0, failed: 0, late: until, stuck: last };
      const broken = seen.broken.filter(({ why }) => seenMs >= counts[why]);
      inRow = broken.length > 0 ? inRow + 1 : 0;
      const evidence = { before, after: seen.after, predicted: to.predicted };
      if (inRow >= CERTAIN) {
        const why = broken.map(({ text }) => text).join('; ');
        this.#tell('refuted', open, why, { objections: broken, ...evidence });
        return this.#takeBack(open, why);
      }
      const mayTellMore = seenMs < last && seen.unjudged.some(({ isSoon }) => isSoon);
      if (seenMs >= until && seen.doubt === '' && !mayTellMore) return this.#keep(open, seen, evidence);
      if (seenMs < last || inRow > 0) continue;
      if (before.lost.length > 0 || !isSmaller(to, from)) return this.#unverified(open, seen.doubt, evidence);
      const why = `in doubt, as it is smaller than the one before: ${seen.doubt}`;
      this.#tell('refuted', open, why, evidence);
      return this.#takeBack(open, why);
    }
  }

  /** Measures the new placement once, and compares it with what was measured of the old one; undefined: the process is to end. */
  async #see(open: Change): Promise<Seen | undefined> {
    this.#expect(open, open.to);
    const seen = await this.#compared(open).catch((error: unknown) => this.#unseen(open, error));
    if (this.#ports.isEnding()) return undefined;
    // Measuring takes a while, in which somebody may have changed it.
    this.#expect(open, open.to);
    return seen;
  }

  async #compared({ from, to, before, at, switchedAt = at }: Change): Promise<Seen> {
    const after = evidenceOf(await this.#ports.measure(Date.parse(switchedAt)));
    const objections = objectionsTo({ from, to, before, after }, this.#policy);
    const doubts = objections.map(({ text }) => text);
    if (!isEnough(after, this.#policy)) {
      const ended = `${after.completed + after.failed} runs ended in ${spellMs(after.windowMs)}`;
      doubts.push(`${ended}, fewer than the ${this.#policy.verify.runs} to verify it by`);
    }
    const unjudged = unjudgedIn({ before, after }, this.#policy);
    const inDoubt = unjudged.filter(({ isDoubt }) => isDoubt);
    if (inDoubt.length > 0) doubts.push(`${tooFewFor(inDoubt)}, and before there were enough`);
    return { after, broken: objections.filter(({ isOwn }) => isOwn), doubt: doubts.join('; '), unjudged };
  }

  #unseen({ from, to, before }: Change, error: unknown): Seen {
    if (!this.#ports.isEnding()) this.#ports.complain(error);
    const text = `it could not be measured: ${messageOf(error)}`;
    const isGone = error instanceof MillraceError && error.code === 'BACKEND_UNAVAILABLE';
    const old = new Set(devicesOf(from));
    // None of its servers answers. One that the old placement uses too would not answer there either.
    const isOwn = isGone && before.lost.length === 0 && devicesOf(to).every((device) => !old.has(device));
    return { broken: isOwn ? [{ why: 'lost', text, isOwn }] : [], doubt: text, unjudged: [] };
  }

  #keep(open: Change, { unjudged }: Pick<Seen, 'unjudged'>, evidence: Evidences): void {
    this.#end(open, 'kept', undefined);
    const used = new Set(devicesOf(open.to));
    const idle = devicesOf(open.from).filter((device) => !used.has(device));
    const text = 'what it has added serves, and no more runs fail or are late than may be or than before';
    const unknown = unjudged.length > 0 ? `; ${tooFewFor(unjudged)}` : '';
    const rest = idle.length > 0 ? `; new runs do not use ${idle.join(', ')} any more` : '';
    this.#tell('kept', open, text + unknown + rest, evidence);
  }

  /**
   * Restores the placement before if what only it needs still serves; else the change stays, and a person has to look. A server that both
   * need is not asked: it is no better without going back, and one that is full, as in the peak for which it is gone back, does not answer
   * in time.
   */
  async #takeBack(open: Change, because: string): Promise<void> {
    const why = clipped(because);
    let obstacle: string | undefined;
    for (let tries = 0; tries < TRIES; tries += 1) {
      if (tries > 0) {
        this.#tell('retried', open, `it is not taken back yet: ${obstacle}`);
        await this.#ports.sleep(this.#pauseMs);
      }
      if (this.#ports.isEnding()) return;
      const missing = await this.#missingOf(open).catch(messageOf);
      if (this.#ports.isEnding()) return;
      this.#expect(open, open.to);
      obstacle = this.#ports.waitsFor() ?? missing ?? this.#restore({ ...open, why, step: 'back' });
      if (obstacle === undefined) return this.#isBack({ ...open, why });
    }
    this.#unverified(open, `${why}; it was not taken back to ${open.from.version}: ${obstacle}`);
  }

  /** Why the placement before is not in force again; undefined: it is. */
  #restore(open: Change): string | undefined {
    try {
      this.#write(open);
      this.#ports.restore(open.from);
      return undefined;
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'PLACEMENT_LOCKED') throw error;
      // It may have failed after it had replaced the file.
      return this.#ports.inForce() === open.from.version ? undefined : messageOf(error);
    }
  }

  #isBack(open: Change): void {
    this.#end(open, 'rolled-back', open.why);
    const why = open.why ?? 'it was being taken back';
    this.#tell('rolled-back', open, `new runs use ${open.from.version} again: ${why}`);
  }

  /** Keeps a change of which nobody knows whether it is good. */
  #unverified(open: Change, because: string, evidence?: Evidences): void {
    const why = clipped(because);
    const { from, to } = open;
    const text = `the change from ${from.version} to ${to.version} is kept, but could not be verified: ${why}`;
    this.#ports.waitFor(text);
    this.#end(open, 'unverified', why);
    this.#tell('unverified', open, text, evidence);
  }

  /** What does not serve of what only the placement before needs; undefined: all of that serves. */
  async #missingOf({ from, to }: Change): Promise<string | undefined> {
    const missing = await this.#ports.missing(from, to);
    return missing.length > 0 ? missing.map(({ text }) => text).join('; ') : undefined;
  }

  #end(open: Change, outcome: Outcome, why: string | undefined): void {
    const reason = why === undefined ? undefined : clipped(why);
    this.#ports.writeJournal(ended(this.#journalOf(open), outcome, reason, this.#policy, this.#ports.now()));
  }

  /** The journal with this change. Throws `PLACEMENT_LOCKED` if another process, which the lock does not see, has written there. */
  #journalOf(change: Change): Journal {
    const journal = this.#ports.readJournal();
    const { open } = journal;
    const isThis = open?.from.version === change.from.version && open.to.version === change.to.version;
    if (isThis && open?.at === change.at) return journal;
    throw locked(change);
  }

  #write(open: Change): Change {
    this.#ports.writeJournal({ ...this.#journalOf(open), open });
    return open;
  }

  /** Throws `PLACEMENT_CHANGED` if the placement in force is not the one that this change left there. */
  #expect(open: Change, { version }: PlacementDocument): void {
    const inForce = this.#ports.inForce();
    if (inForce !== version) this.#interrupted(open, inForce);
  }

  #interrupted(open: Change, inForce: string): never {
    const why = `somebody else has changed the placement to ${inForce} during the change from ${open.from.version} to ${open.to.version}, at the step "${open.step}"`;
    this.#ports.waitFor(why);
    this.#end(open, 'interrupted', why);
    this.#tell('interrupted', open, why);
    throw new MillraceError(
      'PLACEMENT_CHANGED',
      `${why}. Nothing else was changed: see which placement is to serve, and apply it`,
    );
  }

  #tell(event: AuditEvent['event'], { from, to }: Change, text: string, evidence?: Evidences): void {
    this.#ports.tell({ event, from: from.version, to: to.version, text, ...(evidence && { evidence }) });
  }
}

const tooFewFor = (unjudged: readonly Unjudged[]): string =>
  `too few were measured to judge ${unjudged.map(({ text }) => text).join(', ')}`;

const locked = ({ from, to }: Pick<Change, 'from' | 'to'>): MillraceError => {
  const message = `another process has written to the journal of the change from ${from.version} to ${to.version}: let one process change the placement`;
  return new MillraceError('PLACEMENT_LOCKED', message);
};
