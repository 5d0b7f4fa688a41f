import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** How much of an error is named: enough to know it again in the report above, or where only an output's end is kept. */
const ERROR_CHARACTERS = 1000;

interface Failure {
  readonly message?: string;
  readonly stacks?: readonly { readonly file: string; readonly line: number }[];
}

/** An error on one line, with the place in the tests that it comes from. */
const named = (error: Failure | undefined): string => {
  const message = (error?.message ?? 'no error').replaceAll(/\s+/g, ' ').slice(0, ERROR_CHARACTERS);
  const place = error?.stacks?.find(({ file }) => file.includes('/test/'));
  return place === undefined ? message : `${message} (${place.file.replace(/.*\/test\//, 'test/')}:${place.line})`;
};

/**
 * Ends the run's output with the one line that CI reads: `N passed, N failed`; before it, which tests failed, each with its
 * error, which passed only when they were tried again, with the first try's error, and why tests were skipped.
 */
// biome-ignore lint/style/noDefaultExport: vitest takes a reporter's default export
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const cases = modules.flatMap((module) => [...module.children.allTests()]);
    const of = (state: string) => cases.filter((test: TestCase) => test.result().state === state);
    const broken = modules.filter((module) => module.errors().length > 0).length;
    for (const test of of('passed')) {
      if (!test.diagnostic()?.flaky) continue;
      const [error] = test.result().errors ?? [];
      process.stdout.write(
        `passed only when tried again: ${test.module.relativeModuleId} > ${test.fullName}: ${named(error)}\n`,
      );
    }
    for (const test of of('failed')) {
      const [error] = test.result().errors ?? [];
      process.stdout.write(`failed: ${test.module.relativeModuleId} > ${test.fullName}: ${named(error)}\n`);
    }
    for (const module of modules) {
      const [error] = module.errors();
      if (error !== undefined) process.stdout.write(`failed: ${module.relativeModuleId}: ${named(error)}\n`);
    }
    for (const error of unhandled) process.stdout.write(`failed outside a test: ${named(error as Failure)}\n`);
    const skipped = of('skipped');
    for (const test of skipped) {
      const result = test.result();
      process.stdout.write(`skipped: ${test.fullName}: ${('note' in result && result.note) || 'no reason given'}\n`);
    }
    const failed = of('failed').length + broken + unhandled.length;
    const tail = skipped.length > 0 ? `, ${skipped.length} skipped` : '';
    process.stdout.write(`${of('passed').length} passed, ${failed} failed${tail}\n`);
  }
}
