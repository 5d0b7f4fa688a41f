/** Answers of a gateway since its start, from its own metrics; requests for the metrics themselves do not count. */
export interface Answered {
  readonly all: number;
  /** With 5xx. */
  readonly failed: number;
  /** 5xx answers by method, route and status. */
  readonly failures: ReadonlyMap<string, number>;
}

const LINE = /^millrace_http_request_seconds_count\{(.*)\} (\d+)$/;

export async function answered(base: string): Promise<Answered> {
  const text = await (await fetch(`${base}/metrics`)).text();
  let all = 0;
  let failed = 0;
  const failures = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, labels = '', count = '0'] = LINE.exec(line) ?? [];
    const of = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
    if (labels === '' || of('route') === '/metrics' || of('route') === '/readyz') continue;
    all += Number(count);
    if (Number(of('status')) < 500) continue;
    failed += Number(count);
    failures.set(`${of('method')} ${of('route')} ${of('status')}`, Number(count));
  }
  return { all, failed, failures };
}
