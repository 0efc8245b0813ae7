// Photos and signatures of the visit on the screen: taken, shown, and taken away again while they are not sent.
import { here, say } from "./visit-device.js";
import { newKey, now } from "./visit-draft.js";
import { Pad, shrink } from "./visit-pads.js";
import * as store from "./visit-store.js";

const pads = new Map(Array.from(document.querySelectorAll("[data-pad]"), (element) => {
  const kind = element.dataset.pad;
  return [kind, new Pad(element, (blob) => replaceImage(kind, blob))];
}));

export const emptyPads = () => pads.forEach((pad) => pad.reset());

async function replaceImage(kind, blob) {
  const { draft } = here.open;
  const old = draft.images.filter((one) => one.kind === kind && one.pad && !one.sent);
  for (const one of old) await store.removeImage(here.account, draft.visit.visit_id, one.id);
  draft.images = draft.images.filter((one) => !old.includes(one));
  if (blob) await addImage(draft, kind, blob, true);
  here.changed();
  showImages(draft);
}

async function addImage(draft, kind, blob, pad) {
  const id = newKey();
  await store.writeImage(here.account, draft.visit.visit_id, id, blob);
  draft.images.push({ id, kind, pad, taken_at: now(), sent: false });
}

for (const input of document.querySelectorAll("[data-image]")) {
  input.addEventListener("change", async () => {
    const { draft } = here.open;
    const fault = document.querySelector(`[data-image-fault="${input.dataset.image}"]`);
    fault.textContent = "";
    for (const file of input.files) {
      try {
        await addImage(draft, input.dataset.image, await shrink(file), false);
      } catch {
        fault.textContent = say("bad-image");
      }
    }
    input.value = "";
    here.changed();
    showImages(draft);
  });
}

export async function showImages(draft) {
  for (const list of document.querySelectorAll("[data-thumbs]")) {
    for (const old of list.querySelectorAll("img")) URL.revokeObjectURL(old.src);
    const kind = list.dataset.thumbs;
    const shown = draft.images.filter((one) => one.kind === kind);
    const lines = [];
    for (const image of shown) lines.push(await thumb(draft, image));
    list.replaceChildren(...lines.filter(Boolean));
  }
  for (const note of document.querySelectorAll("[data-there]")) note.hidden = !draft.there.includes(note.dataset.there);
}

async function thumb(draft, image) {
  const blob = await store.readImage(here.account, draft.visit.visit_id, image.id);
  if (!blob) return null;
  const line = document.createElement("li");
  const picture = document.createElement("img");
  picture.src = URL.createObjectURL(blob);
  picture.alt = say(image.kind === "photo" ? "photo" : "signature");
  line.append(picture);
  if (!image.sent) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "second", textContent: say("remove") });
    button.addEventListener("click", async () => {
      await store.removeImage(here.account, draft.visit.visit_id, image.id);
      draft.images = draft.images.filter((one) => one !== image);
      if (image.pad) pads.get(image.kind).reset();
      here.changed();
      showImages(draft);
    });
    line.append(button);
  }
  return line;
}
