/** A span of OTLP in JSON. */
export type Span = Readonly<Record<string, unknown>>;

/** Most spans of earlier entries that are known: of more the oldest are forgotten, whose traces have ended long before. */
const MOST = 100_000;

/**
 * The spans that have a call of a model below them, such as those of agents and of the clients of servers that trace too. What they state
 * as their usage is that of these calls. A span is known from its entry of the file on: exporters write spans as they end, those below
 * others first.
 */
export class SpansAround {
  readonly #ids = new Set<string>();

  /** Adds those of an entry. `isCall`: whether the span at this index is a call of a model. */
  add(spans: readonly Span[], isCall: (i: number) => boolean): void {
    for (const id of this.#ids) {
      if (this.#ids.size <= MOST) break;
      this.#ids.delete(id);
    }
    const parents = new Map(spans.map((span) => [keyOf(span, span.spanId), keyOf(span, span.parentSpanId)]));
    for (const [i, span] of spans.entries()) {
      if (!isCall(i) && !this.has(span)) continue;
      let above = keyOf(span, span.parentSpanId);
      while (above !== undefined && !this.#ids.has(above)) {
        this.#ids.add(above);
        above = parents.get(above);
      }
    }
  }

  has(span: Span): boolean {
    const key = keyOf(span, span.spanId);
    return key !== undefined && this.#ids.has(key);
  }
}

/** Undefined: there is none, as above the root of a trace. */
const keyOf = ({ traceId }: Span, id: unknown): string | undefined =>
  typeof id === 'string' && id !== '' ? `${String(traceId)} ${id}` : undefined;
