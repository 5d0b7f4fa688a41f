/** The failures of a JUnit report of Schemathesis, each with its operation. */
export function failuresIn(report: string): string[] {
  return [...report.matchAll(/<testcase\b[^>]*\bname="([^"]*)"[^>]*(?<!\/)>([\s\S]*?)<\/testcase>/g)].flatMap(
    ([, operation = '', body = '']) =>
      [...body.matchAll(/<(?:failure|error)\b[^>]*message="([^"]*)"/g)].map(
        ([, message = '']) => `${plain(operation)}: ${plain(message).trim()}`,
      ),
  );
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'", '#10': '\n' };

const plain = (text: string): string => text.replace(/&(#?\w+);/g, (whole, name: string) => ENTITIES[name] ?? whole);
