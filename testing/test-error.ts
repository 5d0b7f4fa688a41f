/** A mistake in a test: a stage without a script, a script that does not fit. It is no failure of the run. */
export class TestError extends Error {
  override readonly name = 'TestError';
}
