/** Jobs of one machine in order of release; deadlines are in the same order. */
export interface Jobs {
  readonly releaseMs: Float64Array;
  /** From release to deadline, the same for all jobs. */
  readonly allowedMs: number;
  /** Work of each; it takes work / speed. Jobs without work are never late. */
  readonly work: Float64Array;
}

/**
 * The least number of late jobs on one machine of this speed, counted up to `most` + 1.
 *
 * With releases and deadlines in the same order an optimal schedule keeps that order, preemption does not help, and this
 * algorithm is exact: schedule the jobs in order; when one would end late, drop the job of the current busy period whose
 * removal lets the sequence end first. (H. Kise, T. Ibaraki, H. Mine: A solvable case of the one-machine scheduling problem
 * with ready and due times. Operations Research 26, 1978.)
 */
export function leastLate({ releaseMs, allowedMs, work }: Jobs, speed: number, most: number): number {
  const count = releaseMs.length;
  // The busy period: its jobs in order, with their starts.
  const jobs = new Int32Array(count);
  const starts = new Float64Array(count);
  let size = 0;
  let end = Number.NEGATIVE_INFINITY;
  let late = 0;
  for (let j = 0; j < count; j += 1) {
    const ms = (work[j] as number) / speed;
    if (ms === 0) continue;
    const release = releaseMs[j] as number;
    if (release >= end) size = 0;
    const before = end;
    const start = Math.max(release, end);
    jobs[size] = j;
    starts[size] = start;
    size += 1;
    end = start + ms;
    if (end <= release + allowedMs + 1e-9) continue;
    late += 1;
    if (late > most) return late;
    // What the end gains by each removal: a job's time, at most what its followers can move up.
    let room = Number.POSITIVE_INFINITY;
    let best = size - 1;
    let gain = size > 1 ? end - before : Number.POSITIVE_INFINITY;
    for (let i = size - 2; i >= 0; i -= 1) {
      const follower = jobs[i + 1] as number;
      room = Math.min(room, (starts[i + 1] as number) - (releaseMs[follower] as number));
      if (room <= gain) break;
      const own = Math.min(room, (work[jobs[i] as number] as number) / speed);
      if (own > gain) {
        best = i;
        gain = own;
      }
    }
    if (size === 1) {
      size = 0;
      end = before;
      continue;
    }
    let free =
      best === 0 ? Number.NEGATIVE_INFINITY : (starts[best - 1] as number) + timeOf(work, jobs, best - 1, speed);
    for (let i = best; i < size - 1; i += 1) {
      const next = jobs[i + 1] as number;
      jobs[i] = next;
      starts[i] = Math.max(releaseMs[next] as number, free);
      free = (starts[i] as number) + (work[next] as number) / speed;
    }
    size -= 1;
    end = free;
  }
  return late;
}

const timeOf = (work: Float64Array, jobs: Int32Array, i: number, speed: number): number =>
  (work[jobs[i] as number] as number) / speed;

/** Relative precision of speeds; the lower end is reported. */
const PRECISION = 0.004;

/** A speed below which more than `most` jobs are late; 0 if none is needed. */
export function leastSpeed(jobs: Jobs, most: number, from: number): number {
  const total = jobs.work.reduce((sum, each) => sum + each, 0);
  if (total === 0) return 0;
  let low = 0;
  let high = Math.max(from, 1e-12);
  while (leastLate(jobs, high, most) > most) {
    low = high;
    high *= 2;
    if (high > 1e12) return low;
  }
  if (low === 0) {
    low = high / 2;
    while (low > 1e-12 && leastLate(jobs, low, most) <= most) {
      high = low;
      low /= 2;
    }
  }
  while (high / low > 1 + PRECISION) {
    const middle = (low + high) / 2;
    if (leastLate(jobs, middle, most) > most) low = middle;
    else high = middle;
  }
  return low;
}
