"""A small album of pictures that exist, and sidecars as other programs write them."""

import hashlib
import shutil

import numpy as np
from PIL import Image

from facelink.album.additions import add_photos, embedding_model
from facelink.album.decisions import assign_faces, name_person
from facelink.album.export.faces import read_faces
from facelink.album.export.regions import RegionsOfPacket
from facelink.album.export.xmp import photo_regions
from facelink.album.places import add_copies
from facelink.album.queries import photos, placement, places
from facelink.album.records import Box, NewFace, NewPhoto
from facelink.photos.records import PhotoFile

SIZE = WIDTH, HEIGHT = 200, 100
BOXES = (Box(20, 10, 40, 50), Box(120, 30, 30, 40), Box(70, 60, 20, 20))
JPEG = b"\xff\xd8\xff small picture"

DIGIKAM = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <!-- kept -->
  <rdf:Description rdf:about="uuid:1" xmlns:digiKam="http://www.digikam.org/ns/1.0/"
    xmlns:r="http://www.metadataworkinggroup.com/schemas/regions/"
    xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#"
    xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#" digiKam:PickLabel='3'>
   <digiKam:TagsList><rdf:Seq><rdf:li>People/Zo\u00eb &amp; co</rdf:li></rdf:Seq></digiKam:TagsList>
   <r:Regions rdf:parseType="Resource">
    <r:AppliedToDimensions stDim:w="200" stDim:h="100" stDim:unit="pixel"/>
    <r:RegionList>
     <rdf:Bag>
      <rdf:li>
       <rdf:Description r:Name="{name}" r:Type="Face">
        <r:Area stArea:x="0.2" stArea:y="0.35" stArea:w="0.24" stArea:h="0.6"
         stArea:unit="normalized"/>
       </rdf:Description>
      </rdf:li>
      <rdf:li rdf:parseType="Resource"><r:Type>Focus</r:Type>
       <r:Area rdf:parseType="Resource"><stArea:x>0.2</stArea:x><stArea:y>0.35</stArea:y>
        <stArea:w>0.2</stArea:w><stArea:h>0.5</stArea:h></r:Area></rdf:li>
     </rdf:Bag>
    </r:RegionList>
   </r:Regions>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""
"""With a region over the first of `BOXES`; of the prefix r, since any prefix will do."""


def save_picture(path, seed=0, **settings):
    """A picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **settings)
    return path


def add_picture(album, path, boxes=BOXES, size=SIZE):
    """Add a picture with faces; returns their numbers."""
    data, status = path.read_bytes(), path.stat()
    digest = hashlib.sha256(data).hexdigest()
    photo = NewPhoto(path, status.st_size, status.st_mtime_ns, digest, *size)
    features = np.random.default_rng(len(str(path))).normal(size=(len(boxes), 8))
    faces = [
        NewFace(row.astype(np.float32), box, thumbnail=JPEG)
        for row, box in zip(features, boxes, strict=True)
    ]
    return add_photos(album, embedding_model(album, "made up", 8), [(photo, faces)])


def copy_of(album, path):
    """An exact copy of a picture beside it, which the album knows as its further place."""
    copy = path.with_name(f"copy{path.suffix}")
    shutil.copy2(path, copy)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert add_copies(album, [(PhotoFile.at(copy), digest)], []) == []
    return copy


def person_of(album, faces, name=None):
    """Make a person of faces; returns the number."""
    assign_faces(album, faces, None)
    person = placement(album, faces[0]).person
    if name is not None:
        name_person(album, person, name)
    return person


def regions_of(album, people=None):
    return list(photo_regions(photos(album), read_faces(album), people, places(album)))


def names_in(packet):
    """Names of a packet's face regions."""
    return [one.name for one in RegionsOfPacket.of(packet).known if one.is_face]
