const TRIES = 5;

/**
 * What a test has caught in the middle of its work. `attempt` gives nothing where the machine stood still and the work was over
 * when the test came to it: it is then tried again.
 *
 * @param most tries: more than a few for what a busy machine nearly always misses
 */
export async function caught<T>(what: string, attempt: () => Promise<T | undefined>, most = TRIES): Promise<T> {
  for (let tries = 0; tries < most; tries++) {
    const found = await attempt();
    if (found !== undefined) return found;
  }
  throw new Error(`${what}: it was over ${most} times when the test came to it`);
}
