import { type PlacementDocument, replicaName, replicaNames } from '../document/index.js';
import { beyondChance } from '../replan/index.js';
import { type Evidence, endedIn } from './evidence.js';
import type { Policy } from './schema.js';
import { leastTimes } from './unjudged.js';

/** What speaks against a placement that was applied. */
export interface Objection {
  /** Stable, for programs that read the audit lines. */
  readonly why: 'lost' | 'failed' | 'late' | 'stuck';
  readonly text: string;
  /** The change itself has broken it, so that going back mends it. Else the change stays, and a person has to look. */
  readonly isOwn: boolean;
}

interface Compared {
  readonly from: PlacementDocument;
  readonly to: PlacementDocument;
  /** Measured of the old placement, and of the new one. */
  readonly before: Evidence;
  readonly after: Evidence;
}

const percent = (share: number): string => `${Number((100 * share).toFixed(2))} %`;
/** Of the runs that began; those that their callers have cancelled are among them. */
const endedShare = (evidence: Evidence): number => Math.min(1, endedIn(evidence) / Math.max(1, evidence.started));
/** The part of the former share that must have ended: of runs that take as long as they are measured, half have not. */
const ENDED = 1 / 3;

/** Whether so many runs have ended that a change can be judged by them. */
export const isEnough = (evidence: Evidence, { verify }: Pick<Policy, 'verify'>): boolean =>
  endedIn(evidence) >= verify.runs;

/** Of the runs that began: those that fail at once end before the good ones that began with them. */
const failuresOf = (evidence: Evidence): Share => ({
  count: Math.max(endedIn(evidence), evidence.started),
  of: evidence.failed,
});

/** Devices of the replicas that only the new placement has. */
function addedDevices(from: PlacementDocument, to: PlacementDocument): ReadonlySet<string> {
  const old = replicaNames(from);
  const added = to.pools.flatMap(({ model, replicas }) =>
    replicas.filter((each) => !old.has(replicaName(model, each))),
  );
  return new Set(added.flatMap(({ devices }) => devices));
}

/**
 * What speaks against a placement that was applied: devices of replicas that it has added serve nothing; more runs fail, or more are late
 * for an objective, than may be and than before, by more than chance; or runs begin and do not end. None: it is as good as that asks for.
 * A change has broken none of it where the old placement had lost a device, nor late runs where the old one was late too. Where more runs
 * come than before, or a device that both have is lost, that may be why runs fail, are late or do not end, and the old placement would do no
 * better: they are the change's doing only if it is smaller.
 */
export function objectionsTo(
  { from, to, before, after }: Compared,
  { verify }: Pick<Policy, 'verify'>,
): readonly Objection[] {
  const objections: Objection[] = [];
  const wasWhole = before.lost.length === 0;
  const object = (why: Objection['why'], isOwn: boolean, text: string) =>
    objections.push({ why, text, isOwn: isOwn && wasWhole });
  const added = addedDevices(from, to);
  for (const { device, because } of after.lost) {
    if (added.has(device)) object('lost', true, `${device} serves nothing: ${because}`);
  }
  const hasGrown =
    before.windowMs <= 0 || beyondChance(after.started, (before.started * after.windowMs) / before.windowMs);
  const isLostInBoth = after.lost.some(({ device }) => !added.has(device));
  const mayReturn = (!hasGrown && !isLostInBoth) || isSmaller(to, from);
  const [earlier, now] = [failuresOf(before), failuresOf(after)];
  const mayFail = Math.max(verify.failed, earlier.count >= verify.runs ? earlier.of / earlier.count : 0);
  if (now.count >= verify.runs && beyondChance(now.of, mayFail * now.count)) {
    const text = `${now.of} of ${now.count} runs failed, above ${percent(mayFail)}`;
    object('failed', mayReturn && isClearlyMore(earlier, now, verify.runs), text);
  }
  if (after.started >= 2 * verify.runs && endedShare(after) < ENDED * endedShare(before)) {
    object('stuck', mayReturn, `of ${after.started} runs that began, ${endedIn(after)} have ended`);
  }
  const least = leastTimes(verify);
  for (const { of, share, ms, count, late } of after.budgets) {
    const was = before.budgets.find((each) => each.of === of);
    const past = { count: was?.count ?? 0, of: was?.late ?? 0 };
    const mayBeLate = Math.max(1 - share, past.count >= least ? past.of / past.count : 0);
    if (count < least || !beyondChance(late, mayBeLate * count)) continue;
    const wasInTime = !beyondChance(past.of, (1 - share) * past.count);
    const isOwn = mayReturn && wasInTime && isClearlyMore(past, { count, of: late }, least);
    object(
      'late',
      isOwn,
      `${of}: ${late} of ${count} took more than ${Math.round(ms)} ms, above ${percent(mayBeLate)}`,
    );
  }
  return objections;
}

interface Share {
  readonly count: number;
  readonly of: number;
}

/** Standard deviations: it is asked several times during a change, each time with a chance of one in seven hundred. */
const CLEARLY = 3;

/** Whether a share is above an earlier one by more than chance: the test of two proportions with their common variance. */
function isClearlyMore(before: Share, after: Share, least: number): boolean {
  if (before.count < least || after.count < least) return false;
  const common = (before.of + after.of) / (before.count + after.count);
  const deviation = Math.sqrt(common * (1 - common) * (1 / before.count + 1 / after.count));
  return after.of / after.count - before.of / before.count > CLEARLY * deviation;
}

/** Devices of a placement. */
export const devicesOf = ({ pools }: Pick<PlacementDocument, 'pools'>): readonly string[] => [
  ...new Set(pools.flatMap(({ replicas }) => replicas.flatMap(({ devices }) => devices))),
];

type Sized = Pick<PlacementDocument, 'ratePerSecond' | 'costPerHour' | 'pools'>;

/**
 * Whether a placement was planned for no more runs a second than another one, costs no more, uses no more devices, and has less of one of
 * them. The rate alone does not tell: with objective `cost` it is the rate that was measured. Where they disagree, neither is smaller.
 */
export function isSmaller(one: Sized, other: Sized): boolean {
  const figures = (of: Sized) => [of.ratePerSecond, of.costPerHour, devicesOf(of).length] as const;
  const others = figures(other);
  const differences = figures(one).map((figure, i) => figure - (others[i] ?? 0));
  return differences.every((each) => each <= 0) && differences.some((each) => each < 0);
}
