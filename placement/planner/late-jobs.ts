/** Jobs of one machine in order of release; deadlines are in the same order. */
interface Jobs {
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

/** Jobs of equal length. */
interface EqualJobs {
  readonly releaseMs: Float64Array;
  /** From release to deadline, the same for all jobs. */
  readonly allowedMs: number;
  readonly lengthMs: number;
}

/**
 * The least number of late jobs on so many machines, each of which runs one job at a time to its end; counted up to `most` + 1.
 *
 * In order of release, each job goes to the machine that is free first, and is dropped if it would end late. This is exact.
 * Take any schedule; as lengths are equal and deadlines have the order of releases, its jobs in time can exchange their starts
 * until they start in order. Then its k-th job in time is released no earlier, and starts no earlier, than the k-th of this rule: by
 * induction the machine for it is free no earlier, since the start of the k-th is at least that of the one `machines` before plus the
 * length; and the rule takes a job as soon as it can be in time. So the rule has no fewer jobs in time.
 */
export function leastLateOn(machines: number, { releaseMs, allowedMs, lengthMs }: EqualJobs, most: number): number {
  // The latest starts, in order.
  const starts = new Float64Array(machines).fill(Number.NEGATIVE_INFINITY);
  let oldest = 0;
  let late = 0;
  for (const release of releaseMs) {
    const start = Math.max(release, (starts[oldest] as number) + lengthMs);
    if (start + lengthMs > release + allowedMs + 1e-9) {
      late += 1;
      if (late > most) return late;
      continue;
    }
    starts[oldest] = start;
    oldest = oldest + 1 === machines ? 0 : oldest + 1;
  }
  return late;
}

/** Relative precision of speeds; the lower end is reported. */
const PRECISION = 0.004;

/**
 * A speed that is not enough, close below the least one that is; 0 if any is.
 *
 * @param isEnough whether a speed is: whatever is faster than one that is enough is, too
 */
export function leastSpeed(isEnough: (speed: number) => boolean, from: number): number {
  let low = 0;
  let high = Math.max(from, 1e-12);
  while (!isEnough(high)) {
    low = high;
    high *= 2;
    if (high > 1e12) return low;
  }
  if (low === 0) {
    low = high / 2;
    while (low > 1e-12 && isEnough(low)) {
      high = low;
      low /= 2;
    }
  }
  while (high / low > 1 + PRECISION) {
    const middle = (low + high) / 2;
    if (isEnough(middle)) high = middle;
    else low = middle;
  }
  return low;
}
