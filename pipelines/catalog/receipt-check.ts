import { amountsIn, currenciesIn, dateIn, GAP, plain, type Row, sum, withoutCurrency } from './receipt-text.js';

/** What a receipt says. */
export interface Receipt {
  merchant: string | null;
  /** YYYY-MM-DD */
  date: string | null;
  currency: string | null;
  total: number | null;
  lines: Line[];
}

export interface Line {
  text: string;
  amount: number;
}

/** What a model says that it says. */
export interface Said {
  readonly merchant: string;
  readonly date: string;
  readonly currency: string;
  readonly total: number;
  readonly lines: readonly Line[];
}

export interface Checked {
  reading: Receipt;
  /** Why a person has to look at it. */
  reasons: string[];
  /** Where the model said something else than what is printed, or can be computed from it. */
  differences: string[];
}

/** Score below which what is read counts as unsure. */
const SURE = 0.85;
/** Rows that are named as unsure. */
const MOST_NAMED = 3;
/** What may follow an amount at the end of a row: a currency, the letter of a tax. */
const LONGEST_END = 6;

/** Of a line whose name is in the row above: 2 x 3.50. */
const QUANTITY = /^\d[\d\s.,]*[x×*@][\d\s.,€$£]*$/iu;

const SUBTOTAL = /sub\s?-?\s?total|zwischensumme|sous-total|小计|小計/iu;
const TOTAL =
  /\b(?:total|summe|gesamt(?:betrag|summe)?|zu zahlen|amount due|balance due|montant|importe|totale)(?![a-z])|合计|合計|总计|總計|总额|应付/iu;
const NO_TOTAL = /sav(?:ed|ing)|discount|rabatt|items|points/iu;
const TAX = /\b(?:vat|sales tax|tax|mwst|ust|tva|iva|gst)\b|税/iu;
/** A sum with or without tax: neither a line nor a tax. */
const NET = /\b(?:net|netto|brutto)\b/iu;
const PAID =
  /\b(?:cash|card|change|visa|mastercard|amex|paid|tendered|bar|karte|ec|gegeben|r.ckgeld|esp.ces|carte|rendu|efectivo|tarjeta)\b|现金|找零|支付|微信/iu;

interface Printed {
  readonly totals: readonly number[];
  readonly lines: readonly { readonly text: string; readonly cents: number }[];
  readonly taxes: number;
  /** Amounts that may be those of lines, as often as they are printed. */
  readonly amounts: readonly number[];
  readonly totalRows: readonly string[];
  /** Rows that the figures are from. */
  readonly rows: readonly Row[];
}

/** Reads the figures by rules, compares them with each other and with what the model says. */
export function checkReceipt(read: readonly Row[], said: Said | null): Checked {
  const rows = read.flatMap(parted);
  const printed = printedIn(rows);
  const all = rows.map(({ text }) => text).join('\n');
  const reasons: string[] = [];
  const differences: string[] = [];
  const total = totalOf(printed, said, all);
  const { lines, proved } = linesOf(printed, said, total, all);
  const added = sum(lines.map(({ cents }) => cents));
  if (printed.totals.length > 1) {
    reasons.push(`there are several totals: ${printed.totals.map(money).join(', ')}; one receipt at a time is read`);
  }
  if (total === undefined) reasons.push('no total was found');
  // Without such a row a subtotal that the model takes for the total would add up as well.
  else if (printed.totals.length === 0) reasons.push(`no row names a total; the model says ${money(total)}`);
  if (lines.length === 0) reasons.push('no lines with amounts were found');
  if (total !== undefined && lines.length > 0 && !proved) {
    reasons.push(`the lines add up to ${money(added)}, and the total is ${money(total)}`);
  }
  if (said && total !== undefined && cents(said.total) !== total) {
    const difference = `total: the model says ${money(cents(said.total))}, the receipt ${money(total)}`;
    (proved ? differences : reasons).push(difference);
  }
  const merchant = merchantOf(rows, said, all, { reasons, differences });
  const date = dateOf(rows, said, { reasons, differences });
  const named = currenciesIn(printed.totalRows, all);
  const currencies = named.length > 0 ? named : currenciesIn(all.split('\n'), all);
  const currency = currencies[0] ?? null;
  if (currency === null) reasons.push('no currency is printed');
  else if (currencies.length > 1) reasons.push(`there are several currencies: ${currencies.join(', ')}`);
  else if (said && said.currency.toUpperCase() !== currency) {
    differences.push(`currency: the model says ${shown(said.currency)}, the receipt ${currency}`);
  }
  reasons.push(...unsure([...printed.rows, ...rows.filter(({ text }) => dateIn(text) || text === merchant)]));
  return {
    reading: {
      merchant,
      date,
      currency,
      total: total === undefined ? null : total / 100,
      lines: lines.map(({ text, cents }) => ({ text, amount: cents / 100 })),
    },
    reasons,
    differences,
  };
}

/** A row with a second name behind a price is of two receipts that lie beside each other. */
function parted({ text, score }: Row): Row[] {
  const parts: string[][] = [];
  for (const piece of text.split(GAP)) {
    const last = parts.at(-1);
    const isName = /\p{L}{3}/u.test(withoutCurrency(piece));
    if (last && !(isName && amountsIn(last.join(GAP)).length > 0)) last.push(piece);
    else parts.push([piece]);
  }
  return parts.map((pieces) => ({ text: pieces.join(GAP), score }));
}

function printedIn(rows: readonly Row[]): Printed {
  const isTotal = ({ text }: Row) => TOTAL.test(text) && !SUBTOTAL.test(text) && !NO_TOTAL.test(text);
  const withAmount = rows.map((row) => ({ row, amounts: amountsIn(row.text) }));
  const end = withAmount.findLastIndex(({ row, amounts }) => isTotal(row) && amounts.length > 0);
  const lines: { text: string; cents: number }[] = [];
  const used: Row[] = [];
  const totals: number[] = [];
  const ofLines: number[] = [];
  const totalRows: string[] = [];
  let taxes = 0;
  withAmount.forEach(({ row, amounts }, i) => {
    const { text } = row;
    const last = amounts.at(-1);
    if (!last) return;
    if (isTotal(row)) {
      totals.push(...amounts.map(({ cents }) => cents));
      totalRows.push(text);
      used.push(row);
      return;
    }
    if ((end !== -1 && i > end) || SUBTOTAL.test(text) || NET.test(text)) return;
    ofLines.push(...amounts.map(({ cents }) => cents));
    if (PAID.test(text)) return;
    if (TAX.test(text)) {
      taxes += last.cents;
      return;
    }
    const own = text.slice(0, last.start).trim();
    const above = QUANTITY.test(own) ? withAmount[i - 1] : undefined;
    const named = above?.amounts.length === 0 && !dateIn(above.row.text) ? above.row : undefined;
    const name = named?.text ?? own;
    if (text.length - last.end > LONGEST_END || !/\p{L}/u.test(name)) return;
    lines.push({ text: withoutCurrency(name).replace(/[\s.:·]+$/u, ''), cents: last.cents });
    used.push(row, ...(named ? [named] : []));
  });
  return { totals: [...new Set(totals)], lines, taxes, amounts: ofLines, totalRows, rows: used };
}

/** The printed one that is proved; what the model says counts only if it is printed somewhere. */
function totalOf({ totals, lines, taxes }: Printed, said: Said | null, all: string): number | undefined {
  const claimed = said ? cents(said.total) : undefined;
  const added = sum(lines.map(({ cents }) => cents));
  const proved = totals.find((each) => lines.length > 0 && (each === added || each === added + taxes));
  if (totals.length > 0) return proved ?? totals.find((each) => each === claimed) ?? totals.at(-1);
  return amountsIn(all).find((each) => each.cents === claimed)?.cents;
}

/** The lines that add up to the total: those that the rules read, else those of the model, if each is printed as a line. */
function linesOf({ lines, taxes, amounts }: Printed, said: Said | null, total: number | undefined, all: string) {
  const addsUp = (those: Printed['lines']) => {
    const added = sum(those.map(({ cents }) => cents));
    return those.length > 0 && (added === total || added + taxes === total);
  };
  if (addsUp(lines)) return { lines, proved: true };
  const left = [...amounts];
  const claimed = (said?.lines ?? [])
    .map(({ text, amount }) => ({ text, cents: cents(amount) }))
    .filter((line) => {
      const at = left.indexOf(line.cents);
      if (at !== -1) left.splice(at, 1);
      return at !== -1 && isPrinted(line.text, all);
    });
  // A single line with the total's amount is the total's own row.
  if (claimed.length > 1 && claimed.length === said?.lines.length && addsUp(claimed)) {
    return { lines: claimed, proved: true };
  }
  return { lines, proved: false };
}

interface Findings {
  readonly reasons: string[];
  readonly differences: string[];
}

/** The model knows names better than a rule, as long as it invents none. */
function merchantOf(rows: readonly Row[], said: Said | null, all: string, { reasons, differences }: Findings) {
  const first = rows.find(({ text }) => /\p{L}{2}/u.test(text) && !dateIn(text) && amountsIn(text).length === 0)?.text;
  const claimed = said?.merchant.trim();
  if (claimed && isPrinted(claimed, all)) {
    if (first && !plain(first).includes(plain(claimed)) && !plain(claimed).includes(plain(first))) {
      reasons.push(`merchant: the model says ${shown(claimed)}, the receipt begins with ${shown(first)}`);
    }
    return claimed;
  }
  if (claimed) differences.push(`merchant: the model says ${shown(claimed)}, which is not printed`);
  if (first === undefined) reasons.push('no merchant was found');
  return first ?? null;
}

function dateOf(rows: readonly Row[], said: Said | null, { reasons, differences }: Findings): string | null {
  const found = rows.flatMap(({ text }) => dateIn(text) ?? []);
  const [read] = found;
  if (!read) {
    reasons.push('no date was found');
    return null;
  }
  const claimed = said ? dateIn(said.date)?.date : undefined;
  const dates = [...new Set(found.map(({ date }) => date))];
  // One of them may be that of a voucher or of a return.
  if (dates.length > 1 && claimed !== read.date)
    reasons.push(`there are several dates: ${dates.slice(0, MOST_NAMED).join(', ')}`);
  if (read.other !== undefined && (claimed === read.date || claimed === read.other)) return claimed;
  if (read.other !== undefined) reasons.push(`the date may be ${read.date} or ${read.other}`);
  else if (said && claimed !== read.date) {
    differences.push(`date: the model says ${shown(said.date)}, the receipt ${read.date}`);
  }
  return read.date;
}

function unsure(rows: readonly Row[]): string[] {
  const low = [...new Set(rows)].filter(({ score }) => score < SURE).slice(0, MOST_NAMED);
  return low.map(({ text, score }) => `${shown(text)} was read with a score of ${score.toFixed(2)}`);
}

const isPrinted = (text: string, all: string): boolean => plain(text) !== '' && plain(all).includes(plain(text));

const cents = (amount: number): number => Math.round(amount * 100);

const money = (cents: number): string => (cents / 100).toFixed(2);

/** Of a model's or an image's text, which may be long. */
const shown = (text: string): string => JSON.stringify([...text].slice(0, 80).join(''));
