"use strict";
// The page of an exported model: photos to answers, on this device alone.
const $ = id => document.getElementById(id);
const read = id => JSON.parse($(id).textContent);
const ABOUT = read("about"), TEXTS = read("texts");
const LABELS = ABOUT.classes.map(entry => entry.label), NAMES = ABOUT.classes.map(entry => (entry.name || entry.label).replaceAll("_", " "));
const SMALLEST = 8, MOST_PIXELS = 16.7e6, THUMBNAIL = 300, CELLS = 7, COVER = 2, MATTERS = 0.02, KEY = `manihot ${ABOUT.model}`, SHOWN = 3;
const COLUMNS = ["time", "image_id", "answer", "probability", "set", "unlike", "review", ...LABELS.map((_, k) => `p${k}`)];
let language = "en", status = ["loading", {}], session = null, ort = null, references = null, keeps = true, busy = Promise.resolve();
let plant = null;

// Texts

const text = (key, values = {}) => TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
const number = value => value.toLocaleString(language);
const percent = value => number(Math.min(99, Math.max(1, Math.round(100 * value))));
const listed = names => names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} ${text("or")} ${names.at(-1)}`;
const node = (kind, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
};

function say(key, values = {}) {
  status = [key, values];
  $("status").textContent = text(key, values);
}

function speak(chosen) {
  language = chosen;
  document.documentElement.lang = chosen;
  for (const part of document.querySelectorAll("[data-text]")) part.textContent = text(part.dataset.text);
  $("about-model").textContent = text("about_model", {...ABOUT, n: LABELS.length, sha: ABOUT.model.slice(0, 12)});
  $("about-classes").textContent = text("about_classes", {names: NAMES.join(", ")});
  say(...status);
  for (const card of document.querySelectorAll(".card")) card.redraw();
  listHistory();
}

// The model

async function unpacked(id) {
  const binary = atob($(id).textContent), bytes = new Uint8Array(binary.length);
  for (let place = 0; place < bytes.length; place++) bytes[place] = binary.charCodeAt(place);
  $(id).remove();
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function load() {
  const source = URL.createObjectURL(new Blob([await unpacked("runtime")], {type: "text/javascript"}));
  ort = await import(source);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = (await unpacked("wasm")).buffer;
  ort.env.logLevel = "error";
  if (ABOUT.unlike) references = halves(new Uint16Array((await unpacked("references")).buffer));
  session = await ort.InferenceSession.create(await unpacked("model"), {executionProviders: ["wasm"]});
}

function halves(given) {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1, power = bits >> 10 & 31, rest = bits & 1023;
    table[bits] = sign * (power ? 2 ** (power - 15) * (1 + rest / 1024) : 2 ** -24 * rest);
  }
  return Float32Array.from(given, bits => table[bits]);
}

// Photos

const refuse = why => Object.assign(new Error(why), {why});

function inPrintColours(bytes) {
  // A JPEG whose frame has four components.
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return false;
  for (let place = 2; place + 9 < bytes.length && bytes[place] === 0xff;) {
    const marker = bytes[place + 1];
    if (marker === 0xff) { place++; continue; }
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) return bytes[place + 9] === 4;
    place += 2 + (bytes[place + 2] << 8 | bytes[place + 3]);
  }
  return false;
}

// RGB bytes of a photo, upright, on white; never resized below MOST_PIXELS: the model does that, as its study did.
async function pixels(file) {
  if (!file.size) throw refuse("why_empty");
  if (inPrintColours(new Uint8Array(await file.arrayBuffer()))) throw refuse("why_cmyk");
  let image;
  try {
    image = await createImageBitmap(file, {imageOrientation: "from-image", colorSpaceConversion: "none"});
  } catch { throw refuse("why_decode"); }
  let {width, height} = image;
  if (Math.min(width, height) < SMALLEST) throw refuse("why_small");
  while (width * height > MOST_PIXELS) [width, height] = [width >> 1, height >> 1];
  const canvas = node("canvas", {width, height}), pen = canvas.getContext("2d", {alpha: false, willReadFrequently: true});
  pen.imageSmoothingQuality = "high";
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(image, 0, 0, width, height);
  image.close();
  const scale = Math.min(1, THUMBNAIL / height), small = node("canvas", {width: Math.ceil(scale * width), height: Math.ceil(scale * height)});
  small.getContext("2d").drawImage(canvas, 0, 0, small.width, small.height);
  const bytes = rgb(pen, width, height);
  canvas.width = canvas.height = 0;
  return {bytes, shape: [1, height, width, 3], picture: small.toDataURL("image/jpeg", 0.8)};
}

function rgb(pen, width, height) {
  const seen = pen.getImageData(0, 0, width, height).data, bytes = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; to < bytes.length; from += 4) {
    bytes[to++] = seen[from];
    bytes[to++] = seen[from + 1];
    bytes[to++] = seen[from + 2];
  }
  return bytes;
}

const run = (bytes, shape) => session.run({[ABOUT.input.name]: new ort.Tensor("uint8", bytes, shape)});

async function look(file) {
  const start = performance.now(), {bytes, shape, picture} = await pixels(file);
  let found;
  try { found = await run(bytes, shape); } catch (error) { console.warn(error); throw refuse("why_model"); }
  const probabilities = Array.from(found.probabilities.data);
  const told = {probabilities, best: best(probabilities), milliseconds: performance.now() - start};
  if (ABOUT.sets) told.set = plausible(found.corrected.data, told.best);
  if (ABOUT.unlike) told.unlike = unlike(found.features.data);
  for (const tensor of Object.values(found)) tensor.dispose();
  return {name: file.name, picture, told};
}

const best = values => values.indexOf(Math.max(...values));

// How many of ascending values lie below one.
function below(values, limit) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = low + high >> 1;
    if (values[middle] < limit) low = middle + 1; else high = middle;
  }
  return low;
}

// The classes that a photo may have, by the scores of each class and member (as predict.py).
function plausible(corrected, chosen) {
  const {scores, least, coverage} = ABOUT.sets, members = corrected.length / LABELS.length;
  const everything = Array.from({length: members}, (_, fold) => LABELS.flatMap(label => scores[label][fold]).sort((a, b) => a - b));
  return LABELS.map((label, place) => {
    const own = scores[label], known = own.reduce((sum, part) => sum + part.length, 0) >= least ? own : everything;
    const count = known.reduce((sum, part) => sum + part.length, 0);
    const fewer = known.reduce((sum, part, fold) => sum + below(part, 1 - corrected[fold * LABELS.length + place]), 0);
    return fewer < Number((coverage * (1 + count)).toFixed(9)) || place === chosen;
  });
}

// The share of the study's photos, in percent, that lie nearer to the others than this one.
function unlike(features) {
  const {shape: [rows, width], neighbour, own} = ABOUT.unlike, length = Math.hypot(...features) || 1;
  const nearest = new Float64Array(rows);
  for (let row = 0, place = 0; row < rows; row++) {
    let product = 0;
    for (let column = 0; column < width; column++) product += references[place++] * features[column];
    nearest[row] = 2 - 2 * product / length;
  }
  return 100 * below(own, Math.sqrt(Math.max(0, nearest.sort()[neighbour - 1]))) / own.length;
}

// Answers

// One answer for all photos of a plant: the mean of their probabilities.
function joined(photos) {
  const n = photos.length, mean = LABELS.map((_, k) => photos.reduce((sum, photo) => sum + photo.told.probabilities[k], 0) / n);
  const told = {probabilities: mean, best: best(mean), n};
  told.agree = photos.filter(photo => photo.told.best === told.best).length;
  if (ABOUT.sets) told.set = LABELS.map((_, k) => k === told.best || photos.some(photo => photo.told.set[k]));
  if (ABOUT.unlike) {
    told.strange = photos.filter(photo => photo.told.unlike > ABOUT.unlike.none_above).length;
    told.unlike = Math.max(...photos.map(photo => photo.told.unlike));
  }
  return told;
}

function drawCard(card) {
  const told = joined(card.photos), p = told.probabilities, others = told.set ? NAMES.filter((_, k) => told.set[k] && k !== told.best) : [];
  const pictures = card.photos.flatMap(photo => [
    node("img", {src: photo.picture, alt: photo.name}),
    ...(photo.of === told.best && photo.veiled ? [node("img", {src: photo.veiled, alt: text("where")})] : []),
  ]);
  const parts = [node("div", {className: "photos"}, ...pictures)], looked = card.photos.filter(photo => photo.of === told.best);
  if (looked.length) parts.push(node("p", {className: "small"}, text(looked.some(photo => photo.veiled) ? "where_means" : "where_nothing")));
  if (told.strange) {
    const some = told.n > 1 ? text("unlike_some", {n: told.strange, all: told.n}) : text("unlike");
    parts.push(node("p", {className: "warning"}, some));
  }
  parts.push(node("h3", {}, NAMES[told.best]), node("span", {className: "percent"}, text("probability", {p: percent(p[told.best])})));
  if (told.set) {
    const several = told.n > 1 ? "set_photos" : "set_several";
    parts.push(node("p", {}, others.length ? text(several, {names: listed(others)}) : text("set_one")));
  }
  const first = p.map((_, k) => k).sort((a, b) => p[b] - p[a]).slice(0, SHOWN), bars = node("div", {className: "bars"});
  for (const k of first) {
    const bar = node("b");
    bar.style.width = `${100 * p[k]}%`;
    bars.append(node("span", {}, NAMES[k]), node("i", {}, bar), node("span", {}, text("probability", {p: number(Math.round(100 * p[k]))})));
  }
  const means = told.n > 1 ? text("means_several", {n: told.n, agree: told.agree}) : text("means", {p: percent(p[told.best])});
  parts.push(bars, node("p", {className: "small"}, means));
  if (looked.length < told.n) {
    const button = node("button", {type: "button", className: "big where"}, text("where"));
    button.addEventListener("click", () => { button.disabled = true; busy = busy.then(() => showWhere(card)).catch(console.error); });
    parts.push(button);
  }
  card.replaceChildren(...parts);
  card.dataset.told = JSON.stringify({...told, photos: card.photos.map(({name, where, told: one}) => ({name, where, ...one}))});
}

// Where covering a part of a small picture takes probability from a class (Zeiler and Fergus 2014): it needs no gradient.
// Each of CELLS x CELLS places has the mean over the squares of COVER cells that cover it.
async function where(image, chosen, progress) {
  const width = image.naturalWidth, height = image.naturalHeight, side = CELLS - COVER + 1, canvas = node("canvas", {width, height});
  const pen = canvas.getContext("2d", {alpha: false, willReadFrequently: true}), one = node("canvas", {width: 1, height: 1});
  one.getContext("2d").drawImage(image, 0, 0, 1, 1);
  pen.fillStyle = `rgb(${[...one.getContext("2d").getImageData(0, 0, 1, 1).data.slice(0, 3)]})`;
  const probability = async (x, y) => {
    pen.drawImage(image, 0, 0);
    const [left, top] = [Math.round(x * width / CELLS), Math.round(y * height / CELLS)];
    if (x >= 0) pen.fillRect(left, top, Math.round((x + COVER) * width / CELLS) - left, Math.round((y + COVER) * height / CELLS) - top);
    const found = await run(rgb(pen, width, height), [1, height, width, 3]), value = found.probabilities.data[chosen];
    for (const tensor of Object.values(found)) tensor.dispose?.();
    return value;
  };
  const whole = await probability(-1, -1), lost = new Float64Array(CELLS ** 2), times = new Float64Array(CELLS ** 2);
  for (let place = 0; place < side ** 2; place++) {
    const [x, y] = [place % side, Math.floor(place / side)], less = whole - await probability(x, y);
    for (let cell = 0; cell < COVER ** 2; cell++) {
      const at = (y + Math.floor(cell / COVER)) * CELLS + x + cell % COVER;
      lost[at] += less;
      times[at]++;
    }
    progress(place + 1, side ** 2);
    await painted();
  }
  return Array.from(lost, (value, at) => value / times[at]);
}

// The picture below a blue veil, which is thin where covering takes most; nothing where no place matters.
function veiled(image, lost) {
  const most = Math.max(...lost);
  if (most < MATTERS) return "";
  const veil = node("canvas", {width: CELLS, height: CELLS}), thin = veil.getContext("2d");
  for (const [at, value] of lost.entries()) {
    thin.fillStyle = `rgba(20, 24, 84, ${0.85 * (1 - Math.max(0, value) / most)})`;
    thin.fillRect(at % CELLS, Math.floor(at / CELLS), 1, 1);
  }
  const canvas = node("canvas", {width: image.naturalWidth, height: image.naturalHeight}), pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(veil, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", 0.8);
}

async function showWhere(card) {
  const chosen = joined(card.photos).best;
  for (const photo of card.photos.filter(photo => photo.of !== chosen)) {
    const image = node("img", {src: photo.picture});
    await image.decode();
    photo.where = await where(image, chosen, (n, all) => say("where_looking", {n, all}));
    photo.veiled = veiled(image, photo.where);
    photo.of = chosen;
  }
  say("ready");
  card.redraw();
}

function newCard() {
  const card = node("article", {className: "card", photos: []});
  card.redraw = () => drawCard(card);
  $("answers").prepend(card);
  return card;
}

function problem(name, why) {
  const line = node("article", {className: "card warning", photos: []});
  line.redraw = () => { line.textContent = text("unusable", {name, why: text(why)}); };
  line.dataset.problem = why;
  line.dataset.name = name;
  line.redraw();
  $("answers").prepend(line);
}

const painted = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));

async function answer(chosen) {
  let answered = 0;
  const together = $("one").checked;
  for (const [place, file] of chosen.entries()) {
    say("looking", {n: place + 1, all: chosen.length});
    await painted();
    try {
      const photo = await look(file), card = together && plant ? plant : newCard();
      if (together) plant = card;
      card.photos.push(photo);
      card.redraw();
      remember(card);
      answered++;
    } catch (error) {
      if (!error.why) console.error(error);
      problem(file.name, error.why || "why_model");
    }
  }
  $("next").hidden = !(together && plant);
  say("done", {n: answered});
}

// History

let rows = [];
try { rows = JSON.parse(localStorage.getItem(KEY) || "[]"); } catch { keeps = false; }

// A spreadsheet would run a name that begins like a formula.
const harmless = name => /^(=|[+\-@].*[(|!])/.test(name) ? `./${name}` : name;

function remember(card) {
  const told = joined(card.photos), set = told.set ? LABELS.filter((_, k) => told.set[k]) : [];
  const reasons = [...(told.strange ? ["none of these"] : []), ...(set.length > 1 ? [`${set.length} classes possible`] : [])];
  const row = {
    time: card.time ??= new Date().toISOString(), image_id: card.photos.map(photo => harmless(photo.name)).join(";"),
    answer: LABELS[told.best], probability: told.probabilities[told.best], set: set.join(";"), unlike: told.unlike ?? "",
    review: reasons.join("; "), ...Object.fromEntries(told.probabilities.map((value, k) => [`p${k}`, value])),
  };
  // A plant that has one more photo has another answer, and still one row.
  const known = card.row ? rows.indexOf(card.row) : -1;
  if (known < 0) rows.push(row); else rows[known] = row;
  card.row = row;
  keep();
}

function keep() {
  try { localStorage.setItem(KEY, JSON.stringify(rows)); } catch { keeps = false; }
  listHistory();
}

function listHistory() {
  $("kept").textContent = text(rows.length ? keeps ? "kept" : "not_kept" : "none_yet");
  $("tools").hidden = !rows.length;
  const head = ["time", "photos", "answer", "probability"].map(name => node("th", {scope: "col"}, text(`column_${name}`)));
  const lines = rows.slice(-100).reverse().map(row => node("tr", {}, ...[
    new Date(row.time).toLocaleString(language, {dateStyle: "short", timeStyle: "short"}), row.image_id,
    NAMES[LABELS.indexOf(row.answer)], text("probability", {p: percent(row.probability)}),
  ].map(cell => node("td", {}, cell))));
  $("history").replaceChildren(...(rows.length ? [node("thead", {}, node("tr", {}, ...head)), node("tbody", {}, ...lines)] : []));
}

function table() {
  const cell = value => {
    const said = typeof value === "number" ? String(Number(value.toPrecision(9))) : String(value);
    return /[",\n\r]/.test(said) ? `"${said.replaceAll('"', '""')}"` : said;
  };
  return [COLUMNS, ...rows.map(row => COLUMNS.map(name => row[name]))].map(row => row.map(cell).join(",")).join("\n") + "\n";
}

// The page

for (const [code, words] of Object.entries(TEXTS)) $("language").append(node("option", {value: code}, words.language));
$("language").value = Object.keys(TEXTS).find(code => navigator.language.toLowerCase().startsWith(code)) ?? "en";
$("language").addEventListener("change", () => speak($("language").value));
for (const id of ["take", "choose"]) $(id).addEventListener("change", () => {
  const chosen = [...$(id).files];
  $(id).value = "";
  busy = busy.then(() => answer(chosen));
});
const forget = () => { plant = null; $("next").hidden = true; };
$("one").addEventListener("change", forget);
$("next").addEventListener("click", forget);
$("clear").addEventListener("click", () => {
  if (!confirm(text("clear_sure", {n: rows.length}))) return;
  rows = [];
  keep();
});
$("download").addEventListener("click", () => {
  const url = URL.createObjectURL(new Blob([table()], {type: "text/csv"}));
  node("a", {href: url, download: "answers.csv"}).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
});
speak($("language").value);
if (/^https?:$/.test(location.protocol)) {
  document.head.append(node("link", {rel: "manifest", href: "app.webmanifest"}));
  navigator.serviceWorker?.register("app-worker.js").catch(error => console.warn(error));
}
load().then(() => {
  for (const id of ["take", "choose"]) $(id).disabled = false;
  say("ready");
}, error => { console.error(error); say("broken", {why: error.message}); });
