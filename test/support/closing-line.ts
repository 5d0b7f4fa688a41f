import type { Reporter, TestCase, TestModule } from 'vitest/node';

/**
 * Ends the run's output with the one line that CI reads: `N passed, N failed`; before it, which tests passed only when they
 * were tried again, with the first try's error, and why tests were skipped.
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
        `passed only when tried again: ${test.module.relativeModuleId} > ${test.fullName}: ${error?.message}\n`,
      );
    }
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
