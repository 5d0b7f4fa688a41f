/** A value of a metric, with names in lower case: exporters have changed theirs between releases. */
export interface Sample {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Longer lines are no samples of devices. */
const LONGEST_LINE = 16_384;

/** The samples in Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats). Other lines are left out. */
export function samplesIn(text: string): Sample[] {
  return text.split('\n').flatMap((line) => (line.length > LONGEST_LINE ? [] : (sampleOf(line) ?? [])));
}

function sampleOf(line: string): Sample | undefined {
  const [, metric, labels = '', number = ''] =
    /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*$/.exec(line) ?? [];
  const value = Number(number);
  if (metric === undefined || number === '' || !Number.isFinite(value)) return undefined;
  const all = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name = '', text = '']) => [
    name.toLowerCase(),
    text.replace(/\\(.)/g, '$1'),
  ]);
  return { metric: metric.toLowerCase(), labels: Object.fromEntries(all), value };
}
