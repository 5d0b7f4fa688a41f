/** A box to be placed, in px. */
export interface Sized {
  readonly id: string;
  readonly width: number;
  readonly height: number;
}
/** A line between two boxes of one layout. `label` is placed in the gap before its end. */
export interface Link {
  readonly from: string;
  readonly to: string;
  readonly label: string;
}
export interface Point {
  readonly x: number;
  readonly y: number;
}
export interface Layout {
  readonly width: number;
  readonly height: number;
  /** Upper left corners, by id. */
  readonly at: ReadonlyMap<string, Point>;
  /** Each link with its points, from start to end. */
  readonly paths: readonly { readonly link: Link; readonly points: readonly Point[] }[];
}

const ROW_GAP = 22;
/** A gap between columns has room for a curved line and the label above it. */
const LEAST_COLUMN_GAP = 48;
const LABEL_MARGIN = 26;
/** Passes over the columns, back and forth: more do not change graphs of realistic size. */
const SWEEPS = 6;

interface Cell {
  readonly id: string;
  readonly rank: number;
  readonly width: number;
  readonly height: number;
  y: number;
}

/**
 * Lays out boxes in columns from left to right: each box is right of its sources, boxes of a column are ordered to
 * reduce crossings, and long lines are routed between the boxes that they pass. Deterministic.
 *
 * @param widthOf width of a label's text in px
 */
export function layered(boxes: readonly Sized[], links: readonly Link[], widthOf: (text: string) => number): Layout {
  const ranks = ranksOf(boxes, links);
  const cells = new Map<string, Cell>();
  const columns: Cell[][] = [];
  const place = (cell: Cell) => {
    cells.set(cell.id, cell);
    columns[cell.rank] ??= [];
    columns[cell.rank]?.push(cell);
  };
  for (const { id, width, height } of boxes) place({ id, rank: ranks.get(id) ?? 0, width, height, y: 0 });
  const chains = links.map((link, i) => {
    const [from, to] = [ranks.get(link.from) ?? 0, ranks.get(link.to) ?? 0];
    const chain = [link.from];
    for (let rank = from + 1; rank < to; rank++) {
      const id = `~${i}~${rank}`;
      place({ id, rank, width: 0, height: 8, y: 0 });
      chain.push(id);
    }
    return { link, chain: [...chain, link.to] };
  });
  const pairs = chains.flatMap(({ chain }) => chain.slice(1).map((to, i) => [chain[i] as string, to] as const));
  order(columns, pairs, cells);
  const height = stack(columns, pairs, cells);
  const gaps = columns.map((_, rank) =>
    Math.max(
      LEAST_COLUMN_GAP,
      ...links.filter(({ to }) => ranks.get(to) === rank + 1).map(({ label }) => widthOf(label) + LABEL_MARGIN),
    ),
  );
  const left: number[] = [];
  const widest = columns.map((column) => Math.max(0, ...column.map(({ width }) => width)));
  for (const rank of columns.keys()) {
    left[rank] = rank === 0 ? 0 : (left[rank - 1] ?? 0) + (widest[rank - 1] ?? 0) + (gaps[rank - 1] ?? 0);
  }
  const last = columns.length - 1;
  const at = new Map<string, Point>();
  for (const { id, rank, width, y } of cells.values()) {
    at.set(id, { x: (left[rank] ?? 0) + ((widest[rank] ?? 0) - width) / 2, y });
  }
  return {
    width: last < 0 ? 0 : (left[last] ?? 0) + (widest[last] ?? 0),
    height,
    at: new Map(boxes.map(({ id }) => [id, at.get(id) as Point])),
    paths: route(chains, cells, at, left, widest),
  };
}

/** The longest path to each box, in links. Links lead to boxes later in the list. */
function ranksOf(boxes: readonly Sized[], links: readonly Link[]): ReadonlyMap<string, number> {
  const ranks = new Map<string, number>();
  for (const { id } of boxes) {
    const before = links.filter(({ to }) => to === id).map(({ from }) => ranks.get(from) ?? 0);
    ranks.set(id, before.length > 0 ? Math.max(...before) + 1 : 0);
  }
  return ranks;
}

type Pairs = readonly (readonly [from: string, to: string])[];

const neighbours = (id: string, pairs: Pairs, side: 0 | 1): string[] =>
  pairs.filter((pair) => pair[side === 0 ? 1 : 0] === id).map((pair) => pair[side]);

/** Orders each column by the mean position of the linked boxes. */
function order(columns: Cell[][], pairs: Pairs, cells: ReadonlyMap<string, Cell>): void {
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const side = sweep % 2 === 0 ? 0 : 1;
    for (const column of side === 0 ? columns : [...columns].reverse()) {
      const places = new Map(columns.flatMap((each) => each.map(({ id }, i) => [id, i] as const)));
      const wish = new Map(
        column.map(({ id }, i) => {
          const linked = neighbours(id, pairs, side).filter((other) => cells.has(other));
          const sum = linked.reduce((total, other) => total + (places.get(other) ?? 0), 0);
          return [id, linked.length > 0 ? sum / linked.length : i] as const;
        }),
      );
      column.sort((a, b) => (wish.get(a.id) ?? 0) - (wish.get(b.id) ?? 0));
    }
  }
}

/** Sets the vertical position of each box, as level as possible with linked boxes. Returns the total height. */
function stack(columns: Cell[][], pairs: Pairs, cells: ReadonlyMap<string, Cell>): number {
  for (const column of columns) {
    let y = 0;
    for (const cell of column) {
      cell.y = y;
      y += cell.height + ROW_GAP;
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const side = sweep % 2 === 0 ? 0 : 1;
    for (const column of side === 0 ? columns : [...columns].reverse()) {
      const wishes = column.map((cell) => {
        const linked = neighbours(cell.id, pairs, side).map((id) => cells.get(id) as Cell);
        if (linked.length === 0) return cell.y;
        const middle = linked.reduce((sum, { y, height }) => sum + y + height / 2, 0) / linked.length;
        return middle - cell.height / 2;
      });
      settle(column, wishes);
    }
  }
  const all = columns.flat();
  const top = Math.min(0, ...all.map(({ y }) => y));
  const least = all.length > 0 ? Math.min(...all.map(({ y }) => y)) : top;
  for (const cell of all) cell.y -= least;
  return Math.max(0, ...all.map(({ y, height }) => y + height));
}

/** Wanted positions of a column, pushed apart where boxes would overlap; the push is shared up and down. */
function settle(column: readonly Cell[], wishes: readonly number[]): void {
  const down: number[] = [];
  const up: number[] = [];
  for (const [i, cell] of column.entries()) {
    const above = i === 0 ? Number.NEGATIVE_INFINITY : (down[i - 1] ?? 0) + (column[i - 1]?.height ?? 0) + ROW_GAP;
    down[i] = Math.max(wishes[i] ?? cell.y, above);
  }
  for (let i = column.length - 1; i >= 0; i--) {
    const height = column[i]?.height ?? 0;
    const below = i === column.length - 1 ? Number.POSITIVE_INFINITY : (up[i + 1] ?? 0) - height - ROW_GAP;
    up[i] = Math.min(wishes[i] ?? 0, below);
  }
  for (const [i, cell] of column.entries()) cell.y = ((down[i] ?? 0) + (up[i] ?? 0)) / 2;
}

/** The points of each link: from the right side of a box, through its places between others, to the left side. */
function route(
  chains: readonly { readonly link: Link; readonly chain: readonly string[] }[],
  cells: ReadonlyMap<string, Cell>,
  at: ReadonlyMap<string, Point>,
  left: readonly number[],
  widest: readonly number[],
): Layout['paths'] {
  const middle = (id: string): number => (at.get(id)?.y ?? 0) + (cells.get(id)?.height ?? 0) / 2;
  /** Links on one side of a box are spread along it, in their order. */
  const port = (id: string, mine: number, others: readonly { readonly i: number; readonly y: number }[]): number => {
    const sorted = [...others].sort((a, b) => a.y - b.y || a.i - b.i);
    const place = sorted.findIndex(({ i }) => i === mine);
    const { height = 0 } = cells.get(id) ?? {};
    return (at.get(id)?.y ?? 0) + (height * (place + 1)) / (sorted.length + 1);
  };
  const leaving = (id: string) =>
    chains.flatMap(({ chain }, i) => (chain[0] === id ? [{ i, y: middle(chain[1] as string) }] : []));
  const arriving = (id: string) =>
    chains.flatMap(({ chain }, i) => (chain.at(-1) === id ? [{ i, y: middle(chain.at(-2) as string) }] : []));
  return chains.map(({ link, chain }, i) => {
    const points: Point[] = [];
    for (const [n, id] of chain.entries()) {
      const cell = cells.get(id) as Cell;
      const { x } = at.get(id) as Point;
      if (n === 0) points.push({ x: x + cell.width, y: port(id, i, leaving(id)) });
      else if (n === chain.length - 1) points.push({ x, y: port(id, i, arriving(id)) });
      else {
        const start = left[cell.rank] ?? x;
        points.push({ x: start, y: middle(id) }, { x: start + (widest[cell.rank] ?? 0), y: middle(id) });
      }
    }
    // From a narrow box of a wide column the line first runs straight to the column's edge.
    const from = cells.get(chain[0] as string) as Cell;
    const edge = (left[from.rank] ?? 0) + (widest[from.rank] ?? 0);
    const [first] = points as [Point];
    if (edge > first.x) points.splice(1, 0, { x: edge, y: first.y });
    const to = cells.get(chain.at(-1) as string) as Cell;
    const end = points.at(-1) as Point;
    if ((left[to.rank] ?? end.x) < end.x) points.splice(-1, 0, { x: left[to.rank] ?? end.x, y: end.y });
    return { link, points };
  });
}
