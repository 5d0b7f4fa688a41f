import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import { besides } from '../../../../cli/auto/audit.js';
import { livePorts } from '../../../../cli/auto/live-ports.js';
import type { AuditEvent, Look, Ports } from '../../../../cli/auto/ports.js';
import type { ReplanCommandOptions } from '../../../../cli/replan-measure.js';
import type { Missing } from '../../../../measure/replan/index.js';
import { iso, type Journal, type Policy, readPolicy } from '../../../../placement/auto/index.js';
import {
  type PlacementDocument,
  readPlacement,
  replicaName,
  replicaNames,
} from '../../../../placement/document/index.js';
import type { Drift, Measured } from '../../../../placement/replan/index.js';
import { writeJson } from '../../../../runtime/json-file.js';
import { placedPool, placementOf } from '../../../support/placements.js';
import { testSettings } from '../../../support/settings.js';

/** A placement on devices such as `g/1+g/2`, predicted to take 100 ms at the 95th percentile. */
export function placed(devices: string, more: Partial<PlacementDocument> = {}): PlacementDocument {
  const replicas = devices.split('+').map((device) => [device]);
  const made = placementOf([placedPool('whisper', replicas)], { 'voice/hear': 'whisper' });
  return { ...made, predicted: { ...made.predicted, p95Ms: 100 }, ...more };
}

export const policy = (more = ''): Policy =>
  readPolicy(`format: 1\ndrifts: [device, rate]\ncostPerHour: 5\nmeasurements: 2\n${more}`).value;

/** What is measured of a placement that does as it should, at a run a second. */
export const good: Measured = {
  ...{ windowMs: 300_000, started: { voice: 300 }, completed: 300, failed: 0 },
  runs: { count: 300, p50Ms: 50, p95Ms: 100 },
  budgets: [{ of: 'p99', share: 0.99, ms: 400, count: 300, late: 1 }],
  ...{ stages: {}, services: {}, lost: [] },
};

export const RATE: Drift = { what: 'rate', of: 'voice', predicted: 1, measured: 3 };

/** What a test decides. */
export interface Story {
  /** Measured at each look, the last one from then on; an error: it fails. */
  readonly measured?: readonly (Measured | Error)[];
  readonly drift?: readonly Drift[];
  readonly proposal?: PlacementDocument | null;
  /** What does not serve on a device, at each question, the last one from then on; an error: it cannot be asked. */
  readonly missing?: Readonly<Record<string, readonly (readonly Missing[] | Error)[]>>;
}

/** The files of an automatic change in a folder, and a clock, servers and measurements as told. Each action takes no time and is recorded. */
export class World implements Ports {
  readonly done: string[] = [];
  readonly events: AuditEvent[] = [];
  readonly complaints: string[] = [];
  story: Story;
  /** Called before each action: to end the process there, or to let somebody else act. */
  onAction: (action: string) => void = () => undefined;
  readonly folder: string;
  readonly #file: string;
  readonly #live: Ports;
  #ms = Date.parse('2026-03-02T12:00:00Z');
  #until = this.#ms + 3_600_000;
  /** When the placement in force was applied: long before the test. */
  #appliedMs = this.#ms - 30 * 86_400_000;
  #measurements = 0;
  readonly #asked = new Map<string, number>();

  /** @param before the placement in force, or what another process has left */
  constructor(before: PlacementDocument | World, story: Story = {}) {
    this.folder = before instanceof World ? before.folder : mkdtempSync(path.join(tmpdir(), 'millrace-auto-'));
    this.#file = path.join(this.folder, 'placement.json');
    this.story = story;
    if (!(before instanceof World)) writeFileSync(this.#file, JSON.stringify(before));
    this.#live = livePorts({
      ...{ file: this.#file, settings: testSettings({}), client: {} as Client, told: () => undefined },
      ...{ options: { cluster: 'c.yaml', out: '.' } as ReplanCommandOptions, signal: new AbortController().signal },
    });
  }

  /** What happened, in order, without what was only held back. */
  get course(): readonly string[] {
    return this.events.map(({ event }) => event).filter((event) => event !== 'watching' && event !== 'held');
  }
  get journal(): Journal {
    return this.#live.readJournal();
  }
  set journal(journal: Journal) {
    writeJson(besides(this.#file).journal, journal);
  }
  /** What a person has to look at, or has written. */
  get hold(): string | undefined {
    return this.waitsFor() && readFileSync(besides(this.#file).hold, 'utf8');
  }
  set hold(why: string | undefined) {
    if (why === undefined) rmSync(besides(this.#file).hold);
    else writeFileSync(besides(this.#file).hold, why);
  }
  at(): string {
    return iso(this.#ms);
  }
  endIn(ms: number): void {
    this.#until = this.#ms + ms;
  }
  /** As a person does it: by hand. */
  put(placement: PlacementDocument): void {
    writeFileSync(this.#file, JSON.stringify(placement));
    this.#appliedMs = this.#ms;
  }
  #act(action: string): void {
    this.onAction(action);
    this.done.push(action);
  }

  now = (): number => this.#ms;
  isEnding = (): boolean => this.#ms >= this.#until;
  async sleep(ms: number): Promise<void> {
    this.#ms += ms;
  }
  async look(): Promise<Look> {
    const placement = readPlacement(readFileSync(this.#file, 'utf8'));
    const { proposal = null, drift = [] } = this.story;
    // What was proposed is as it should be.
    const isDone = proposal === null || placement.version === proposal.version;
    const found = { drift: isDone ? [] : drift, expected: null, proposal: isDone ? null : proposal, refuseShare: 0 };
    const measured = await this.measure();
    return { placement, measured, found: { ...found, problem: null }, appliedAtMs: this.#appliedMs };
  }
  async measure(): Promise<Measured> {
    const { measured = [good] } = this.story;
    const next = measured[Math.min(this.#measurements, measured.length - 1)] ?? good;
    this.#measurements += 1;
    if (next instanceof Error) throw next;
    return next;
  }
  async missing({ pools }: PlacementDocument, except?: PlacementDocument): Promise<readonly Missing[]> {
    const others = except ? replicaNames(except) : new Set<string>();
    const asked = pools.flatMap(({ model, replicas }) =>
      replicas.filter((each) => !others.has(replicaName(model, each))).flatMap(({ devices }) => devices),
    );
    this.#act(`ask ${asked.join('+')}`);
    return asked.flatMap((device) => {
      const { [device]: answers = [] } = this.story.missing ?? {};
      const times = this.#asked.get(device) ?? 0;
      this.#asked.set(device, times + 1);
      const answer = answers[Math.min(times, answers.length - 1)] ?? [];
      if (answer instanceof Error) throw answer;
      return answer;
    });
  }
  advice = (): string => 'start them';
  inForce = (): string => this.#live.inForce();
  apply(placement: PlacementDocument): void {
    this.#act(`apply ${nameOf(placement)}`);
    this.#live.apply(placement);
    this.#appliedMs = this.#ms;
  }
  restore(placement: PlacementDocument): void {
    this.#act(`restore ${nameOf(placement)}`);
    this.#live.restore(placement);
    this.#appliedMs = this.#ms;
  }
  waitsFor = (): string | undefined => this.#live.waitsFor();
  waitFor(why: string): void {
    this.#act('hold');
    this.#live.waitFor(why);
  }
  readJournal = (): Journal => this.journal;
  writeJournal(journal: Journal): void {
    this.#act(`journal ${journal.open?.step ?? 'ended'}`);
    this.journal = journal;
  }
  tell(event: AuditEvent): void {
    this.events.push(event);
  }
  complain(error: unknown): void {
    this.complaints.push(String(error));
  }
}

const nameOf = ({ pools }: PlacementDocument): string =>
  pools.flatMap(({ replicas }) => replicas.flatMap(({ devices }) => devices)).join('+');
