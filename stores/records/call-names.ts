import { jsonHash } from '../../pipelines/plan/hash.js';
import { type StageCall, servedBy, splitRun } from '../../pipelines/run/index.js';

/** Prefix of the paths of child runs' calls. */
export const CHILD = '/';

export function pathOf(run: string, { path, stage }: StageCall): string {
  const { inside } = splitRun(run);
  return inside === '' ? (path ?? stage) : `${CHILD}${inside}/${path ?? stage}`;
}

/**
 * Whether a child run belongs to one of these stages: its path starts with the stage's id, after enclosing items and
 * rounds.
 */
export function isInside(path: string, stages: readonly string[]): boolean {
  const starts = [0, ...[...path.matchAll(/\]\//g)].map(({ index }) => index + 2)];
  return starts.some((start) => {
    const names = path.slice(start).split('/');
    return names.some((_, i) =>
      stages.includes(
        names
          .slice(0, i + 1)
          .join('/')
          .replace(/~\d+$/, ''),
      ),
    );
  });
}

/** Field of a call within its run: its path and what serves it. */
export const nameOf = (run: string, call: StageCall): string =>
  `${pathOf(run, call)} ${jsonHash(servedBy(call)).slice(0, 16)}`;

/** For a tool's call: the path of the next turn's call. If that exists, the model has received how this call ended. */
export function turnAfter(path: string): string {
  const [, agent, turn] = /^(.*\/turn-)(\d+)\/[^/]+$/.exec(path) ?? [];
  return agent === undefined ? '' : `${agent}${Number(turn) + 1}`;
}

/**
 * Which call of an agent has a path: `3` for that of its model in a turn, `3/refund` for that of a tool. Undefined for others, and for what follows
 * the first part of a tool's call.
 */
export function turnCallOf(path: string): string | undefined {
  const [, turn, name] = TURN_CALL.exec(path) ?? [];
  return turn === undefined || name === undefined ? turn : `${turn}/${name}`;
}

const TURN_CALL = /\/turn-(\d+)(?:(?:-checked)?(?:-again)?|\/([^/]+?)(?:\[\d+\])?:[0-9a-f]{12})$/;
