/** Words that are alike for an embedder and contrary, or exclusive, in meaning. */
const ROWS = `
on off|up down|in out|into out|to from|before after|above below|over under|left right|inside outside|indoor outdoor|front back|forward backward
|first last second third final initial|early late|earlier later|earliest latest|start end stop finish|begin end finish|open close closed shut|opening closing|enable disable
|increase decrease reduce lower|raise lower|rise fall drop|rises falls|rising falling|high low|higher lower|highest lowest|more less fewer|most least fewest
|many few|much little|maximum minimum|max min|upper lower|top bottom|big small|bigger smaller|biggest smallest|large small|larger smaller|largest smallest
|long short|longer shorter|longest shortest|tall short|taller shorter|tallest shortest|deep shallow|wide narrow|thick thin|heavy light|heavier lighter
|fast slow|faster slower|fastest slowest|quick slow|old new young|older newer younger|oldest newest youngest|hot cold warm cool|hotter colder|hottest coldest
|good bad|better worse|best worst|right wrong|true false|correct incorrect|safe dangerous unsafe|healthy unhealthy|easy hard difficult|easier harder|easiest hardest
|cheap expensive|cheaper costlier|cheapest dearest|rich poor|strong weak|stronger weaker|hard soft|wet dry|clean dirty|full empty|alive dead|awake asleep
|buy sell|buying selling|bought sold|borrow lend|lend borrow|give take|give get|send receive|sent received|import export|imports exports|upload download|push pull
|add remove delete subtract|add take|insert delete|create delete destroy|install uninstall|attach detach|connect disconnect|lock unlock|mute unmute|load unload
|accept reject decline refuse|allow deny forbid ban|approve reject|include exclude|included excluded|including excluding|encrypt decrypt|compress decompress
|gain lose|win lose|won lost|winner loser|wins losses|profit loss|love hate|like dislike|agree disagree|remember forget|pass fail|succeed fail|success failure
|arrive depart leave|arrival departure|arrivals departures|enter exit leave|entrance exit|come go|coming going|join leave|hire fire|marry divorce|born died die
|show hide|visible hidden|ask answer|question answer|cause effect|causes effects|cause prevent|cure cause|advantage disadvantage|advantages disadvantages|pros cons|benefits risks drawbacks
|benefit risk|strength weakness|strengths weaknesses|input output|inputs outputs|parent child children|parents children|mother father|mom dad|mum dad|son daughter|sons daughters
|brother sister|brothers sisters|husband wife|uncle aunt|nephew niece|boy girl|boys girls|man woman|men women|male female|males females|king queen|prince princess
|he she|him her|his her|adult child kid baby|adults children|north south east west|northern southern eastern western|day night|morning evening afternoon|am pm|summer winter
|credit debit|deposit withdraw withdrawal|asset liability|assets liabilities|income expense|gross net|public private|legal illegal|internal external|domestic foreign international
|positive negative|plus minus|even odd|add divide multiply|sum product difference|square cube|sine cosine|horizontal vertical|row column|rows columns|client server
|read write|read-only writable|front-end back-end|hardware software|local remote|manual automatic|static dynamic|serial parallel|single double|single married|absolute relative
|raw cooked|boil fry bake|fried boiled baked|fridge freezer|diet regular|sweet sour|salt sugar|breakfast lunch dinner|arrivals departures|checked hand|savings checking
|acid base|acidic alkaline|solid liquid gas|freezing boiling|melting boiling|systolic diastolic|artery vein|virus bacteria|hyper hypo|hypertension hypotension|acute chronic
|ascending descending|sunrise sunset|dawn dusk|soar plummet|buyer seller|buyers sellers|lender borrower|landlord tenant|landlords tenants|employer employee|plaintiff defendant
|teacher student|teachers students|doctor nurse patient|doctors nurses patients|solicitor barrister|driver passenger|host guest|actor actress|waiter waitress
|felony misdemeanor misdemeanour|here there|this that|these those|wired wireless|include omit|allowed required|dearer cheaper|undo redo
|optional mandatory required|temporary permanent|possible impossible|always never sometimes|all none some|every no|both neither|with without|and or|must may|can must|should must`;

/** Words that exclude each other, by word. */
export const OPPOSITES: ReadonlyMap<string, ReadonlySet<string>> = pairs(ROWS);

function pairs(rows: string): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const row of rows.split('|')) {
    const words = row.trim().split(/\s+/);
    for (const word of words) {
      const others = found.get(word) ?? new Set();
      for (const other of words) if (other !== word) others.add(other);
      found.set(word, others);
    }
  }
  return found;
}
