import type { SpeedRow } from './speed.js';

const WIDE = 50;

/** Time and gap by the number of devices, as bars on a logarithmic scale. */
export function growth(rows: readonly SpeedRow[]): string {
  const longest = Math.log10(Math.max(...rows.map(({ ms }) => Math.max(10, ms))));
  const lines = rows.map(({ stages, kinds, devices, ms, cpuMs, gap, found, of }) => {
    const bar = '#'.repeat(Math.max(1, Math.round((Math.log10(Math.max(1, ms)) / longest) * WIDE)));
    const size = `${stages} stages x ${kinds} kinds x ${devices} devices`.padEnd(38);
    const figures = `${ms} ms (${cpuMs} ms of processor), gap ${(100 * gap).toFixed(1)} %, ${found} of ${of} planned`;
    return `${size}|${bar.padEnd(WIDE)}| ${figures}`;
  });
  return ['time to plan, logarithmic', ...lines].join('\n');
}
