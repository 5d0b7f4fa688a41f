const TRIES = 5;

/**
 * What a test has caught in the middle of its work. `attempt` gives nothing where the machine stood still and the work was over
 * when the test came to it: it is then tried again, a few times.
 */
export async function caught<T>(what: string, attempt: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < TRIES; tries++) {
    const found = await attempt();
    if (found !== undefined) return found;
  }
  throw new Error(`${what}: it was over ${TRIES} times when the test came to it`);
}
