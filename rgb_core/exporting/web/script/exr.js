// Scan-line OpenEXR files, plain or with ZIP compression.

function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1,
    exponent = (bits >> 10) & 31,
    fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
}

// The header of a scan-line OpenEXR file: attributes by name, and where the table of blocks starts.
function exrHeader(view, bytes) {
  if (view.getUint32(0, true) !== 20000630) throw new Error("this is not an OpenEXR file");
  if (view.getUint32(4, true) & 0x1a00)
    throw new Error("tiled, deep and multi-part .exr files are not read here; save it as scan lines");
  let at = 8;
  const text = () => {
    const end = bytes.indexOf(0, at),
      word = new TextDecoder("latin1").decode(bytes.subarray(at, end));
    at = end + 1;
    return word;
  };
  const header = {};
  for (let name = text(); name; name = text()) {
    const type = text(),
      size = view.getUint32(at, true),
      end = at + 4 + size;
    at += 4;
    if (type === "chlist") {
      header.channels = [];
      for (let channel = text(); channel; channel = text()) {
        header.channels.push({ name: channel, type: view.getUint32(at, true) });
        at += 16;
      }
    } else if (type === "box2i") header[name] = [0, 4, 8, 12].map((i) => view.getInt32(at + i, true));
    else if (name === "compression") header.compression = bytes[at];
    at = end;
  }
  return { ...header, start: at };
}

// ZIP blocks hold differences of bytes, even ones first.
function undoZip(bytes) {
  for (let i = 1; i < bytes.length; i++) bytes[i] = (bytes[i - 1] + bytes[i] - 128) & 255;
  const out = new Uint8Array(bytes.length),
    middle = (bytes.length + 1) >> 1;
  for (let i = 0; i < bytes.length; i++) out[i] = bytes[i & 1 ? middle + (i >> 1) : i >> 1];
  return out;
}

async function readExr(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    header = exrHeader(view, bytes);
  const rowsPerBlock = { 0: 1, 2: 1, 3: 16 }[header.compression];
  if (!rowsPerBlock)
    throw new Error("only .exr files without compression or with ZIP compression are read here; save it with ZIP");
  const [left, top, right, bottom] = header.dataWindow,
    width = right - left + 1,
    height = bottom - top + 1;
  const data = new Float32Array(3 * width * height),
    sizes = [4, 2, 4];
  const targets = header.channels.map(({ name }) =>
    name === "Y" ? [0, 1, 2] : { R: [0], G: [1], B: [2] }[name] || [],
  );
  for (let block = 0; block * rowsPerBlock < height; block++) {
    const at = Number(view.getBigUint64(header.start + 8 * block, true)),
      y0 = view.getInt32(at, true) - top,
      size = view.getUint32(at + 4, true);
    const rows = Math.min(rowsPerBlock, height - y0),
      stored = bytes.subarray(at + 8, at + 8 + size);
    const whole = rows * width * header.channels.reduce((sum, { type }) => sum + sizes[type], 0);
    const plain = header.compression && size < whole ? undoZip(await inflate(stored, "deflate")) : stored.slice();
    const values = new DataView(plain.buffer);
    for (let y = 0, from = 0; y < rows; y++) {
      header.channels.forEach(({ type }, c) => {
        for (let x = 0; x < width; x++, from += sizes[type]) {
          const value =
            type === 1
              ? half(values.getUint16(from, true))
              : type === 2
                ? values.getFloat32(from, true)
                : values.getUint32(from, true);
          for (const k of targets[c]) data[3 * ((y0 + y) * width + x) + k] = value;
        }
      });
    }
  }
  return { width, height, data };
}
