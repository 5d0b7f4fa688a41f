import { Gauge, type Registry } from 'prom-client';

/** A predicted figure beside the measured one. */
interface Compared {
  readonly figure: string;
  readonly of: string;
  readonly predicted: number | undefined;
  readonly measured: number | undefined;
}

/** What a placement predicts and what is measured of it, as of the last measurement. */
export function placementMetrics(registry: Registry) {
  const registers = [registry];
  const predicted = new Gauge({
    name: 'millrace_placement_predicted',
    help: 'What the placement in force predicts',
    labelNames: ['figure', 'of'] as const,
    registers,
  });
  const measured = new Gauge({
    name: 'millrace_placement_measured',
    help: 'What was measured of it last',
    labelNames: ['figure', 'of'] as const,
    registers,
  });
  const drift = new Gauge({
    name: 'millrace_placement_drift',
    help: 'Differences beyond tolerance and chance (1)',
    labelNames: ['what', 'of'] as const,
    registers,
  });
  const at = new Gauge({
    name: 'millrace_placement_measured_at_seconds',
    help: 'When it was measured last, in seconds since 1970',
    registers,
  });
  return {
    set(figures: readonly Compared[], drifts: readonly { readonly what: string; readonly of: string }[]): void {
      for (const gauge of [predicted, measured, drift]) gauge.reset();
      for (const { figure, of, ...values } of figures) {
        if (values.predicted !== undefined) predicted.set({ figure, of }, values.predicted);
        if (values.measured !== undefined) measured.set({ figure, of }, values.measured);
      }
      at.set(Date.now() / 1_000);
      for (const { what, of } of drifts) drift.set({ what, of }, 1);
    },
  };
}
