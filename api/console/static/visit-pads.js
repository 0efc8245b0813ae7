// Photos made small before they are kept, and pads to sign on with a finger, a pen or a mouse.
const LONGEST_SIDE = 1600;
const INK = "#10202b";

// A JPEG of at most LONGEST_SIDE, upright, without what a camera writes beside the pixels. Throws what is no image.
export async function shrink(file) {
  const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  const scale = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return blobOf(canvas, "image/jpeg");
}

function blobOf(canvas, type) {
  return new Promise((done, failed) => canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error("no image"))), type, 0.82));
}

export class Pad {
  // `signed(blob or null)` after each stroke.
  constructor(element, signed) {
    this.canvas = element.querySelector("canvas");
    this.signed = signed;
    this.strokes = [];
    this.canvas.addEventListener("pointerdown", (event) => this.begin(event));
    this.canvas.addEventListener("pointermove", (event) => this.go(event));
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, (event) => this.finish(event));
    element.querySelector(".undo").addEventListener("click", () => this.undo());
    element.querySelector(".clear").addEventListener("click", () => this.clear());
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * this.canvas.width, ((event.clientY - box.top) / box.height) * this.canvas.height];
  }

  begin(event) {
    if (this.pointer !== undefined) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    this.strokes.push([this.point(event)]);
    this.draw();
  }

  go(event) {
    if (event.pointerId !== this.pointer) return;
    this.strokes.at(-1).push(this.point(event));
    this.draw();
  }

  finish(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = undefined;
    this.tell();
  }

  undo() {
    if (!this.strokes.length) return;
    this.strokes.pop();
    this.draw();
    this.tell();
  }

  clear() {
    this.reset();
    this.tell();
  }

  reset() {
    this.strokes = [];
    this.pointer = undefined;
    this.draw();
  }

  draw() {
    const pen = this.canvas.getContext("2d");
    pen.fillStyle = "#ffffff";
    pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
    Object.assign(pen, { strokeStyle: INK, lineWidth: 5, lineCap: "round", lineJoin: "round" });
    for (const stroke of this.strokes) {
      pen.beginPath();
      stroke.forEach(([x, y], place) => (place ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      if (stroke.length === 1) pen.lineTo(stroke[0][0] + 0.1, stroke[0][1]);
      pen.stroke();
    }
  }

  async tell() {
    this.signed(this.strokes.length ? await blobOf(this.canvas, "image/png") : null);
  }
}
